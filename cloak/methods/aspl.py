"""Anti-DreamBooth's ASPL: the denoiser's error grows while the denoiser learns clean and cloaked picture in turn."""

from torch import Tensor

from cloak.methods.base import Loss, Published
from cloak.methods.peer import DENOISE, Peer, peer
from cloak.objectives import PROMPT, Denoising, Lessons, RandomDraws
from cloak.surrogates import Surrogate
from cloak.targets import Target

__all__ = ["ASPL"]


@peer(
    "aspl",
    summary="the denoiser's error grows while it learns the clean and the cloaked picture in turn",
    reference="Van Le et al. 2023 (Anti-DreamBooth, ASPL), ICCV, arXiv 2303.15433",
    licence="AGPL-3.0",
    requires=DENOISE,
    published=Published(linf=6.4, steps=300, step=0.64, parts="denoising, moving denoiser"),
)
class ASPL(Peer):
    """max E ||eps(z_t, t, c) - noise||^2 in turns: 3 training steps on the clean picture, 6 of the attack, 3 on it.

    The code trains the text encoder too, and on 200 pictures of the class; here the denoiser learns the one picture.
    """

    def build(self, surrogate: Surrogate, original: Tensor, target: Target | None) -> Loss:  # noqa: ARG002
        lessons = Lessons(surrogate.embed_text([PROMPT]), clean=3, cloaked=3, every=6)
        draws = RandomDraws(self.generator)
        return self.moving(
            surrogate, original, lambda model: Denoising(model, original, draws=draws), lessons=lessons, rate=5e-7
        )
