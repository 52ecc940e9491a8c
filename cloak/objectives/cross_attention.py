"""Words lose their hold: cross-attention is spread evenly over the prompt."""

import torch
from torch import Tensor

from cloak.objectives.base import OBJECTIVES
from cloak.objectives.through_denoiser import DenoiserObjective
from cloak.surrogates.denoising import NoiseDraw
from cloak.surrogates.recording import recorded_cross_attention

__all__ = ["CrossAttention"]

_POSITIONS = 256  # maps of at most 16 x 16 say what is where; finer ones follow edges


@OBJECTIVES.register(
    "cross_attention",
    summary="the denoiser's attention to the prompt's words is flattened",
    reference="Zheng et al. 2025 (Anti-Diffusion), arXiv 2503.05595; Xu et al. 2024 (CAAT), arXiv 2404.15081",
    licence="none / MIT",
    requires=DenoiserObjective.requires,
)
class CrossAttention(DenoiserObjective):
    """Mean squared attention, times the number of tokens: between 1 / tokens (flat) and 1 (one word at each place)."""

    def at(self, z: Tensor, draw: NoiseDraw) -> Tensor:
        with recorded_cross_attention(self.surrogate.denoiser()) as found:
            self.predicted(z, draw)
        coarse = min(query.shape[1] for query, _, _ in found)
        kept = [layer for layer in found if layer[0].shape[1] <= max(_POSITIONS, coarse)]
        return torch.stack([_concentration(*layer) for layer in kept]).mean(0)


def _concentration(queries: Tensor, keys: Tensor, heads: int) -> Tensor:
    """Sum over tokens of squared attention, mean over places and heads, (B,)."""
    query, key = (_divided(x, heads) for x in (queries, keys))
    attention = (query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5).softmax(-1)
    concentration: Tensor = attention.pow(2).sum(-1).mean((1, 2))
    return concentration


def _divided(x: Tensor, heads: int) -> Tensor:
    """(B, n, heads * d) to (B, heads, n, d), float32."""
    return x.float().reshape(*x.shape[:2], heads, -1).transpose(1, 2)
