"""AdvDM: the denoiser's error on the picture grows."""

from torch import Tensor

from cloak.methods.base import Loss, Published
from cloak.methods.peer import DENOISE, Peer, peer
from cloak.objectives import Denoising, RandomDraws
from cloak.surrogates import Surrogate
from cloak.targets import Target

__all__ = ["AdvDM"]


@peer(
    "advdm",
    summary="the denoiser's error on the picture grows, at random noise levels",
    reference="Liang et al. 2023 (AdvDM), ICML, arXiv 2302.04578",
    licence="none",
    requires=DENOISE,
    published=Published(linf=16, steps=100, step=1, parts="denoising"),
)
class AdvDM(Peer):
    """max E ||eps(z_t, t, c) - noise||^2. Numbers as in Diff-Protect's comparison (Stable Diffusion 1.4)."""

    def build(self, surrogate: Surrogate, original: Tensor, target: Target | None) -> Loss:  # noqa: ARG002
        return Denoising(surrogate, original, draws=RandomDraws(self.generator))
