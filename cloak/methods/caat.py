"""CAAT: keys and values of cross-attention learn the picture while the picture is attacked on the same loss."""

from torch import Tensor

from cloak.methods.base import Loss, Published
from cloak.methods.peer import DENOISE, Peer, peer
from cloak.objectives import PROMPT, Denoising, Lessons, RandomDraws
from cloak.surrogates import Surrogate
from cloak.targets import Target

__all__ = ["CAAT"]


@peer(
    "caat",
    summary="the denoiser's error grows while its cross-attention learns the picture",
    reference="Xu et al. 2024 (CAAT), CVPR, arXiv 2404.15081",
    licence="MIT",
    requires=DENOISE,
    published=Published(linf=6.4, steps=250, step=0.64, parts="denoising, moving keys and values of cross-attention"),
)
class CAAT(Peer):
    """max over the picture, min over K and V of E ||eps(z_t, t, c) - noise||^2, one step of each in turn (rate 1e-5).

    Numbers of the released script; the command line's default bound is twice as large.
    """

    def build(self, surrogate: Surrogate, original: Tensor, target: Target | None) -> Loss:  # noqa: ARG002
        lessons = Lessons(surrogate.embed_text([PROMPT]), cloaked=1)
        draws = RandomDraws(self.generator)
        return self.moving(
            surrogate,
            original,
            lambda model: Denoising(model, original, draws=draws),
            lessons=lessons,
            rate=1e-5,
            part="cross-attention",
        )
