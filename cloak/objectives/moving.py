"""A loss whose model learns while the picture is attacked, as the model of somebody who fine-tunes on it will.

References:
    Van Le et al. 2023 (Anti-DreamBooth), arXiv 2303.15433, algorithm 1 (ASPL); Liu et al. 2024 (MetaCloak),
    arXiv 2311.13127, algorithm 1 (a pool of models at different ages).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from cloak.surrogates import TextEmbedding
from cloak.surrogates.adapting import Trainee

__all__ = ["Lessons", "MovingLoss"]

Loss = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Lessons:
    """What a model learns, and when.

    Args:
        text: what the pictures are said to be.
        clean: steps on the untouched picture each time.
        cloaked: steps on the picture as it is each time.
        every: calls of the loss from one time to the next.
    """

    text: TextEmbedding
    clean: int = 0
    cloaked: int = 0
    every: int = 1


class MovingLoss:
    """Losses through models that learn between the calls; each call goes through the next one of them.

    Args:
        losses: one for each trainee, looking through its model.
        trainees: what learns.
        original: the untouched picture, (B, 3, H, W).
        lessons: what is learnt when.
    """

    def __init__(
        self, losses: Sequence[Loss], trainees: Sequence[Trainee], original: Tensor, *, lessons: Lessons
    ) -> None:
        self.losses, self.trainees, self.original, self.lessons = losses, trainees, original, lessons
        self.calls = 0

    def __call__(self, x: Tensor) -> Tensor:
        index, time = self.calls % len(self.losses), self.calls // len(self.losses)
        if time % self.lessons.every == 0:
            self.trainees[index].train(self.original, self.lessons.text, self.lessons.clean)
            self.trainees[index].train(x.detach(), self.lessons.text, self.lessons.cloaked)
        self.calls += 1
        return self.losses[index](x)
