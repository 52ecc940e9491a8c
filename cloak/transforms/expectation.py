"""Expectation over transforms: a loss through what will happen to the picture.

References:
    Athalye et al. 2018, "Synthesizing Robust Adversarial Examples", arXiv 1707.07397, eq. 2.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from cloak.inquiry import Inquiring, Inquiry, Loss, inquire
from cloak.transforms.base import Transform

__all__ = ["ExpectationOverTransforms"]


class ExpectationOverTransforms(Inquiring):
    """Wraps a loss; each call draws `samples` transforms and averages.

    The optimiser's momentum averages over steps, so one sample a step is the cheapest good choice.

    Args:
        loss: maps (B, 3, H, W) to (B,).
        transforms: what may happen.
        probabilities: of each, sum 1.
        generator: source of chance.
        samples: draws per call.
    """

    def __init__(
        self,
        loss: Loss,
        transforms: Sequence[Transform],
        *,
        probabilities: Sequence[float],
        generator: torch.Generator,
        samples: int = 1,
    ) -> None:
        if len(transforms) != len(probabilities):
            raise ValueError(f"{len(transforms)} transforms need as many probabilities, got {len(probabilities)}")
        self.loss, self.transforms, self.generator, self.samples = loss, transforms, generator, samples
        self.probabilities = torch.tensor(probabilities)

    def inquire(self, x: Tensor) -> Inquiry:
        total = torch.zeros(len(x), device=x.device)
        for _ in range(self.samples):
            index = int(torch.multinomial(self.probabilities, 1, generator=self.generator))
            total = total + (yield from inquire(self.loss, self.transforms[index](x, self.generator)))
        return total / self.samples
