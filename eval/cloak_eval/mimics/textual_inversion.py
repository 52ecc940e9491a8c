"""A new word for the style: only its embedding is learnt, the model stays as it is.

References:
    Gal et al. 2022, "An Image is Worth One Word", arXiv 2208.01618, eq. 2.
"""

from typing import Any, cast

import torch
from pydantic import Field
from torch import Tensor, nn

from cloak_eval.mimics.base import MIMICS, Mimic, MimicConfig
from cloak_eval.mimics.pipelines import text_towers
from cloak_eval.mimics.training_set import TrainingSet, style_prompt

__all__ = ["TextualInversion", "TextualInversionConfig"]


class TextualInversionConfig(MimicConfig):
    """Settings of a textual inversion."""

    learning_rate: float = Field(default=5e-3, gt=0, description="Rate of AdamW at the first step.")
    vectors: int = Field(default=4, ge=1, le=16, description="Length of the new word, tokens.")
    initial: str = Field(default="style", description="Known word that its embedding starts from.")


@MIMICS.register(
    "textual-inversion",
    summary="embeddings of a new word, nothing else",
    reference="Gal et al. 2022, arXiv 2208.01618",
)
class TextualInversion(Mimic):
    """Trains a few rows of the text encoder's table of embeddings."""

    config_class = TextualInversionConfig
    config: TextualInversionConfig

    def prompt(self, subject: str, artist: str) -> str:  # noqa: ARG002
        return style_prompt(subject, " ".join(self._words))

    @property
    def _words(self) -> list[str]:
        return [f"<style-{index}>" for index in range(self.config.vectors)]

    def prepare(self, pipe: Any, training: TrainingSet) -> list[nn.Parameter]:  # noqa: ARG002
        return [self._add_words(tokenizer, encoder) for tokenizer, encoder in text_towers(pipe)]

    def _add_words(self, tokenizer: Any, encoder: Any) -> nn.Parameter:
        start = tokenizer(self.config.initial, add_special_tokens=False).input_ids
        if tokenizer.add_tokens(self._words) != len(self._words):
            raise ValueError(f"the tokenizer knows some of {self._words} already")
        encoder.resize_token_embeddings(len(tokenizer), mean_resizing=False)
        table: Any = encoder.get_input_embeddings().weight
        new = tokenizer.convert_tokens_to_ids(self._words)
        with torch.no_grad():
            table.data = table.data.to(torch.float32)
            table[new] = table[start].mean(0)
        mask = torch.zeros(len(table), 1, device=table.device)
        mask[new] = 1.0
        table.requires_grad_(True)
        table.register_hook(lambda gradient: _only(gradient, mask))
        return cast(nn.Parameter, table)


def _only(gradient: Tensor, mask: Tensor) -> Tensor:
    """Rows of known words have no gradient, and AdamW without decay leaves them as they are."""
    return gradient * mask
