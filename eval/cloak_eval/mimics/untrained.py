"""The control without theft: the model as it is."""

from typing import Any

from torch import nn

from cloak_eval.mimics.base import MIMICS, Mimic
from cloak_eval.mimics.training_set import TrainingSet

__all__ = ["Untrained"]


@MIMICS.register("none", summary="control: no fine-tune; what the model draws when it is asked for the artist")
class Untrained(Mimic):
    """Trains nothing."""

    def prepare(self, pipe: Any, training: TrainingSet) -> list[nn.Parameter]:  # noqa: ARG002
        return []
