"""The other control: a thief who learns nothing and forgets nothing."""

from typing import Any

import torch
from torch import Tensor, nn

from cloak_eval.mimics.base import MIMICS, Mimic
from cloak_eval.mimics.pipelines import decode_latents
from cloak_eval.mimics.training_set import TrainingSet

__all__ = ["Copy"]


@MIMICS.register("copy", summary="control: crops of the stolen pictures as the model's autoencoder gives them back")
class Copy(Mimic):
    """Trains nothing and ignores subjects: what a mimic would draw at best, since it draws through the same decoder.

    Where a judge does not find the artist in these, the model cannot show the style; where a distance is large for
    these, it is the autoencoder's.
    """

    def prepare(self, pipe: Any, training: TrainingSet) -> list[nn.Parameter]:
        self._latents = self.encode(pipe, training, torch.Generator().manual_seed(0)).mean
        return []

    def _sample(self, pipe: Any, prompts: list[str], generators: list[torch.Generator]) -> Tensor:  # noqa: ARG002
        chosen = [int(torch.randint(len(self._latents), (), generator=generator)) for generator in generators]
        return decode_latents(pipe, self._latents[chosen])
