"""MetaCloak: the error of several denoisers at different ages grows, through what happens to pictures."""

from collections.abc import Sequence

from torch import Tensor

from cloak.methods.base import Loss, Published
from cloak.methods.peer import DENOISE, Peer, peer
from cloak.objectives import PROMPT, Denoising, Lessons, MovingLoss, RandomDraws
from cloak.surrogates import Surrogate
from cloak.surrogates.adapting import Trainee
from cloak.targets import Target
from cloak.transforms import Blur, Crop, Flip, Transform

__all__ = ["MetaCloak"]

_AGES = (0, 20, 40)  # training steps


@peer(
    "metacloak",
    summary="the error of a pool of denoisers at different ages grows, through blur, flip and crop",
    reference="Liu et al. 2024 (MetaCloak), CVPR, arXiv 2311.13127",
    licence="Apache-2.0 (part of the repository)",
    requires=DENOISE,
    published=Published(linf=11, steps=14_400, step=1.1, parts="denoising, pool of moving denoisers; blur, flip, crop"),
)
class MetaCloak(Peer):
    """max E over models and transforms of ||eps(z_t, t, c) - noise||^2; each model learns 2 steps for every 6.

    The code's pool has 6 ages up to 1,000 steps of DreamBooth, 4 times over, and 14,400 attack steps in all; here it
    has 3 ages up to 40 steps, and one transform is drawn at a time where the code applies all three.
    """

    def build(self, surrogate: Surrogate, original: Tensor, target: Target | None) -> Loss:  # noqa: ARG002
        text, draws = surrogate.embed_text([PROMPT]), RandomDraws(self.generator)
        pool = [Trainee(surrogate, part="all", rate=5e-7, generator=self.generator) for _ in _AGES]
        for trainee, age in zip(pool, _AGES, strict=True):
            trainee.train(original, text, age)
        losses = [Denoising(trainee.surrogate, original, draws=draws) for trainee in pool]
        return MovingLoss(losses, pool, original, lessons=Lessons(text, cloaked=2, every=6))

    def transforms(self) -> Sequence[tuple[Transform, float]]:
        return [(Blur((1.0, 1.8)), 0.4), (Flip(), 0.3), (Crop(), 0.3)]
