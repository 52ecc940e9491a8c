"""StyleGuard: ASPL with the latent's statistics leaving the picture's style for another."""

from torch import Tensor

from cloak.methods.base import Loss, Published
from cloak.methods.peer import DENOISE, Peer, peer
from cloak.objectives import PROMPT, Denoising, LatentContrast, Lessons, RandomDraws, WeightedSum
from cloak.surrogates import Surrogate
from cloak.targets import Target

__all__ = ["StyleGuard"]


@peer(
    "styleguard",
    summary="ASPL, and the latent's channel statistics leave the picture's style for a target's",
    reference="Li et al. 2025 (StyleGuard), NeurIPS, arXiv 2505.18766",
    licence="none",
    requires=DENOISE,
    published=Published(linf=6.4, steps=300, step=0.64, parts="denoising + latent_contrast, moving denoiser"),
)
class StyleGuard(Peer):
    """max E ||eps(z_t, t, c) - noise||^2 + away from own, towards the target's means and variances, weight 1.

    The code also attacks an upscaler's denoiser, which is not among the models here, and takes its statistics over
    the whole batch, here over each picture.
    """

    needs_target = True

    def build(self, surrogate: Surrogate, original: Tensor, target: Target | None) -> Loss:
        style, draws = LatentContrast(surrogate, original, target=target), RandomDraws(self.generator)

        def build(model: Surrogate) -> Loss:
            return WeightedSum([Denoising(model, original, draws=draws), style], [1.0, 1.0])

        lessons = Lessons(surrogate.embed_text([PROMPT]), clean=3, cloaked=3, every=6)
        return self.moving(surrogate, original, build, lessons=lessons, rate=5e-7)
