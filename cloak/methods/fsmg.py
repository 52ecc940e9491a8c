"""Anti-DreamBooth's FSMG: the error of a denoiser that has learnt the clean picture grows."""

from torch import Tensor

from cloak.methods.base import Loss, Published
from cloak.methods.peer import DENOISE, Peer, peer
from cloak.objectives import PROMPT, Denoising, RandomDraws
from cloak.surrogates import Surrogate
from cloak.surrogates.adapting import Trainee
from cloak.targets import Target

__all__ = ["FSMG"]

_LESSONS = 40


@peer(
    "fsmg",
    summary="the error of a denoiser that was first trained on the clean picture grows",
    reference="Van Le et al. 2023 (Anti-DreamBooth, FSMG), ICCV, arXiv 2303.15433",
    licence="AGPL-3.0",
    requires=DENOISE,
    published=Published(linf=6.4, steps=100, step=0.64, parts="denoising, denoiser trained beforehand"),
)
class FSMG(Peer):
    """max E ||eps(z_t, t, c) - noise||^2 through a model that was fine-tuned on the untouched picture.

    The code takes a DreamBooth model trained to the end on clean pictures; here it learns for 40 steps.
    """

    def build(self, surrogate: Surrogate, original: Tensor, target: Target | None) -> Loss:  # noqa: ARG002
        trainee = Trainee(surrogate, part="all", rate=5e-7, generator=self.generator)
        trainee.train(original, surrogate.embed_text([PROMPT]), _LESSONS)
        return Denoising(trainee.surrogate, original, draws=RandomDraws(self.generator))
