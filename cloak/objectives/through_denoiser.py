"""What losses about the denoiser share: a latent, a prompt and a draw of noise."""

from abc import abstractmethod

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from cloak.objectives.base import Objective
from cloak.objectives.draws import Draws, FixedDraws
from cloak.surrogates import Surrogate, TextEmbedding
from cloak.surrogates.denoising import NoiseDraw
from cloak.targets import Target

__all__ = ["PROMPT", "DenoiserObjective", "latent_of"]

PROMPT = "a painting"


def latent_of(surrogate: Surrogate, x: Tensor) -> Tensor:
    """The latent, without what the encoder's gradient needs: that is computed again when the denoiser's is done.

    So the activations of autoencoder and denoiser are never in memory together.
    """
    if not (torch.is_grad_enabled() and x.requires_grad):
        return surrogate.encode(x)
    latent: Tensor = checkpoint(surrogate.encode, x, use_reentrant=False, preserve_rng_state=False)
    return latent


class DenoiserObjective(Objective):
    """Mean of a loss about noisy latents over one or more draws.

    Args:
        surrogate, original, target: see `Objective`.
        prompt: what the picture is said to be.
        text: the same as an embedding, instead of `prompt`.
        draws: noise levels and noise; fixed ones by default, which makes the loss a function of the picture alone.
    """

    requires = frozenset({"encode", "denoise", "embed_text"})

    def __init__(
        self,
        surrogate: Surrogate,
        original: Tensor,
        *,
        target: Target | None = None,
        prompt: str = PROMPT,
        text: TextEmbedding | None = None,
        draws: Draws | None = None,
    ) -> None:
        super().__init__(surrogate, original, target=target)
        self.text = surrogate.embed_text([prompt]) if text is None else text
        self.draws = draws or FixedDraws()

    def __call__(self, x: Tensor) -> Tensor:
        z = latent_of(self.surrogate, x)
        draws = self.draws(z, self.surrogate.timesteps)
        return torch.stack([self.at(z, draw) for draw in draws]).mean(0).to(x.device)

    @abstractmethod
    def at(self, z: Tensor, draw: NoiseDraw) -> Tensor:
        """Loss of each latent under one draw, (B,)."""

    def predicted(self, z: Tensor, draw: NoiseDraw, text: TextEmbedding | None = None) -> Tensor:
        """Noise that the denoiser sees in a latent with the draw's noise, (B, C, h, w)."""
        noisy = self.surrogate.add_noise(z, draw.noise, draw.timestep)
        return self.surrogate.denoise(noisy, draw.timestep, text or self.text)
