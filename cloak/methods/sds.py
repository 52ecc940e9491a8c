"""SDS(-) of Diff-Protect: the latent goes against the denoiser's error."""

from torch import Tensor

from cloak.methods.base import Loss, Published
from cloak.methods.peer import DENOISE, Peer, peer
from cloak.objectives import RandomDraws, ScoreDistillation
from cloak.surrogates import Surrogate
from cloak.targets import Target

__all__ = ["SDS"]


@peer(
    "sds",
    summary="score distillation downwards: what the model sees becomes smooth, without a gradient through the denoiser",
    reference="Xue et al. 2024 (Diff-Protect), ICLR, arXiv 2311.12832",
    licence="none",
    requires=DENOISE,
    published=Published(linf=16, steps=100, step=1, parts="sds (-)"),
)
class SDS(Peer):
    """g_z = eps(z_t, t, c) - noise, descended. The paper's SDS(+) is `ScoreDistillation(ascend=True)`."""

    def build(self, surrogate: Surrogate, original: Tensor, target: Target | None) -> Loss:  # noqa: ARG002
        return ScoreDistillation(surrogate, original, draws=RandomDraws(self.generator))
