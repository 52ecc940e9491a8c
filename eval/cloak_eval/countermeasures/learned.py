"""What was learnt about the tool beforehand is used against it."""

from typing import Any

import torch
from torch import Tensor

from cloak.errors import UsageError
from cloak_eval.countermeasures.base import COUNTERMEASURES, Countermeasure
from cloak_eval.removal import CloakRemover

__all__ = ["LearnedRemover"]


@COUNTERMEASURES.register(
    "learned-remover",
    summary="a network trained on pairs made with the tool predicts the cloak, which is subtracted",
    reference="Foerster et al. 2025, LightShed, USENIX Security",
)
class LearnedRemover(Countermeasure):
    """A small U-Net; for each method and strength one of its own, trained on other artists' pictures."""

    learns = True

    def __init__(self) -> None:
        self._remover: CloakRemover | None = None

    def learn(self, remover: CloakRemover) -> None:
        self._remover = remover

    def treat(self, picture: Tensor, pipe: Any, generator: torch.Generator) -> Tensor:  # noqa: ARG002
        if self._remover is None:
            raise UsageError("learned-remover has to learn from pairs before it can clean a picture.")
        return self._remover.clean(picture)
