"""What a denoiser is told about a picture besides its noisy latent."""

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["TextEmbedding"]


@dataclass(frozen=True, slots=True)
class TextEmbedding:
    """Prompts as a denoiser reads them.

    Args:
        tokens: (B, T, D) float32, one vector for each token; what cross-attention sees.
        pooled: (B, E) float32, one vector for each prompt, not normalised. Where the folder also holds an image encoder
            that was trained with this text encoder, its direction is comparable with that of `embed_image`.
    """

    tokens: Tensor
    pooled: Tensor

    def expand(self, batch: int) -> "TextEmbedding":
        """One prompt for a batch of pictures; raises ValueError unless there are 1 or `batch` prompts."""
        if len(self.tokens) not in {1, batch}:
            raise ValueError(f"{len(self.tokens)} prompts for {batch} pictures; give one, or one for each")
        return TextEmbedding(self.tokens.expand(batch, -1, -1), self.pooled.expand(batch, -1))

    def to(self, device: torch.device) -> "TextEmbedding":
        """The same on `device`."""
        return TextEmbedding(self.tokens.to(device), self.pooled.to(device))
