"""Which noise levels a denoiser's loss is looked at: some fixed ones, all at random, or those that matter.

References:
    Wang et al. 2024 (SimAC), "A Simple Anti-Customization Method", arXiv 2312.07865 (selected timesteps).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor

from cloak.surrogates.denoising import NoiseDraw, draw_noise

__all__ = ["Draws", "FixedDraws", "RandomDraws", "SelectedDraws", "select_timesteps"]


class Draws(ABC):
    """Gives the noise that a loss adds to a latent; all pictures of a batch get the same."""

    @abstractmethod
    def __call__(self, z: Tensor, timesteps: int) -> list[NoiseDraw]:
        """One or more draws for latents (B, C, h, w) of a model with so many noise levels; the loss is their mean."""


class FixedDraws(Draws):
    """The same evenly spaced levels and the same noise at every call, so that values can be compared.

    Args:
        levels: how many.
    """

    def __init__(self, levels: int = 4) -> None:
        self.levels = levels

    def __call__(self, z: Tensor, timesteps: int) -> list[NoiseDraw]:
        generator = torch.Generator().manual_seed(0)
        middles = [(2 * level + 1) / (2 * self.levels) for level in range(self.levels)]
        return [_draw(z, int(middle * timesteps), generator) for middle in middles]


class RandomDraws(Draws):
    """One level at a time, uniform.

    Args:
        generator: source of chance.
        span: part of the noise levels that is drawn from; 0 is the least noise.
    """

    def __init__(self, generator: torch.Generator, *, span: tuple[float, float] = (0.0, 1.0)) -> None:
        self.generator, self.span = generator, span

    def __call__(self, z: Tensor, timesteps: int) -> list[NoiseDraw]:
        shape = (1, *z.shape[1:])
        draw = draw_noise(shape, timesteps, generator=self.generator, span=self.span, device=z.device)
        return [NoiseDraw(draw.timestep.expand(len(z)), draw.noise.expand_as(z))]


class SelectedDraws(Draws):
    """One level at a time, out of some.

    Args:
        generator: source of chance.
        kept: levels to draw from; may be replaced while the attack goes on.
    """

    def __init__(self, generator: torch.Generator, kept: list[int]) -> None:
        self.generator, self.kept = generator, kept

    def __call__(self, z: Tensor, timesteps: int) -> list[NoiseDraw]:  # noqa: ARG002
        index = int(torch.randint(len(self.kept), (1,), generator=self.generator))
        return [_draw(z, self.kept[index], self.generator)]


def _draw(z: Tensor, timestep: int, generator: torch.Generator) -> NoiseDraw:
    noise = torch.randn((1, *z.shape[1:]), generator=generator).to(z.device).expand_as(z)
    return NoiseDraw(torch.full((len(z),), timestep, device=z.device), noise)


def select_timesteps(
    strength: Callable[[int], float],
    timesteps: int,
    *,
    generator: torch.Generator,
    keep: float = 0.1,
    window: float = 0.02,
) -> list[int]:
    """Levels at which the picture's gradient is strong.

    Again and again five are tried, and what surrounds the weakest of them is removed.

    Args:
        strength: size of the gradient at a level.
        timesteps: number of levels.
        generator: source of chance.
        keep: share of the levels at which the search stops.
        window: share of the levels removed on either side of the weakest.
    """
    kept, reach = list(range(timesteps)), max(1, round(window * timesteps))
    while len(kept) > max(1, round(keep * timesteps)):
        tried = [kept[int(torch.randint(len(kept), (1,), generator=generator))] for _ in range(5)]
        weakest = min(tried, key=strength)
        left = [level for level in kept if abs(level - weakest) > reach]
        if not left:
            break
        kept = left
    return kept
