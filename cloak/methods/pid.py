"""PID: mean and variance of the encoder's posterior move away; no prompt, no denoiser."""

from torch import Tensor

from cloak.methods.base import Loss, Published
from cloak.methods.peer import Peer, peer
from cloak.objectives import PosteriorShift
from cloak.surrogates import Surrogate
from cloak.targets import Target

__all__ = ["PID"]


@peer(
    "pid",
    summary="mean and log variance of the encoder's posterior move away from the original's",
    reference="Li et al. 2024 (PID), ICML, arXiv 2406.15305",
    licence="none",
    published=Published(linf=12.75, steps=1000, step=1, parts="posterior_shift"),
)
class PID(Peer):
    """max MSE(mean, mean') + MSE(log variance, log variance'), the code's "add-log".

    Of the mean alone where an encoder, such as a tiny one, has no variance.
    """

    def build(self, surrogate: Surrogate, original: Tensor, target: Target | None) -> Loss:  # noqa: ARG002
        return PosteriorShift(surrogate, original)
