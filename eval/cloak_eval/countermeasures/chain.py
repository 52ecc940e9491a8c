"""Several countermeasures, one after the other, as a determined thief runs them."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from cloak.budgets import round_to_8_bits
from cloak_eval.countermeasures.base import COUNTERMEASURES, Countermeasure
from cloak_eval.removal import CloakRemover

__all__ = ["Chain", "countermeasure"]

_JOINT = "+"


class Chain(Countermeasure):
    """Each part gets what the one before gave back, in 8-bit steps.

    Args:
        parts: in the order in which they act.
    """

    def __init__(self, parts: Sequence[Countermeasure]) -> None:
        self.parts = list(parts)
        self.learns = any(part.learns for part in self.parts)

    def learn(self, remover: CloakRemover) -> None:
        for part in self.parts:
            part.learn(remover)

    def treat(self, picture: Tensor, pipe: Any, generator: torch.Generator) -> Tensor:
        for part in self.parts:
            picture = round_to_8_bits(part.treat(picture, pipe, generator).detach().cpu().float())
        return picture

    def prepare(self, pipe: Any, pictures: Sequence[Tensor], generator: torch.Generator) -> None:
        for part in self.parts:
            part.prepare(pipe, pictures, generator)

    def correct(self, drawn: Tensor, published: Sequence[Tensor]) -> Tensor:
        for part in self.parts:
            drawn = part.correct(drawn, published)
        return drawn


def countermeasure(name: str) -> Countermeasure:
    """The countermeasure of a name, or of names joined by `+`, which act in that order.

    Raises:
        UnknownNameError: there is none of such a name.
    """
    parts = [COUNTERMEASURES.get(part).value() for part in name.split(_JOINT)]
    return parts[0] if len(parts) == 1 else Chain(parts)
