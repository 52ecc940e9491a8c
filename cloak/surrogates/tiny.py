"""The architecture of the embedded tiny autoencoders.

TAESD-like residual blocks without attention. Two things differ from TAESD (Bohan, github.com/madebyollin/taesd):

* full resolution is left to a pixel (un)shuffle, so the dearest layers run on a quarter of the pixels;
* the blocks at the coarsest level may carry a side path with a normalisation over the whole picture, as published
  FLUX.2-class tiny autoencoders have: that is where a small perturbation is amplified (see docs/effect.md).
"""

import torch
from torch import Tensor, nn

__all__ = ["Block", "TinyDecoder", "TinyEncoder"]


class Block(nn.Module):
    """Three 3x3 convolutions around a skip; optionally a globally normalised side path first."""

    def __init__(self, channels: int, *, side_path: bool = False) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
        )
        self.side: nn.Sequential | None = None
        if side_path:
            self.side = nn.Sequential(
                nn.Conv2d(channels, 4 * channels, 1, bias=False),
                nn.GroupNorm(4, 4 * channels),
                nn.ReLU(),
                nn.Conv2d(4 * channels, channels, 1, bias=False),
            )

    def forward(self, x: Tensor) -> Tensor:
        if self.side is not None:
            x = x + self.side(x)
        return torch.relu(x + self.convolutions(x))


def _level(channels: int, blocks: int, *, side_path: bool = False) -> list[nn.Module]:
    return [Block(channels, side_path=side_path) for _ in range(blocks)]


def _down(channels: int) -> nn.Conv2d:
    return nn.Conv2d(channels, channels, 3, stride=2, padding=1, bias=False)


class TinyEncoder(nn.Module):
    """Picture to latent at one eighth of its size.

    Args:
        channels: width of every level.
        latent_channels: channels of the latent.
        blocks: residual blocks at 1/2, 1/4 and 1/8 of the size.
        side_path: whether the blocks at 1/8 carry the normalised side path.

    Shape:
        - Input: (B, 3, H, W), [0, 1], H and W multiples of 8.
        - Output: (B, latent_channels, H/8, W/8), in the teacher's latent units.
    """

    def __init__(self, *, channels: int, latent_channels: int, blocks: tuple[int, int, int], side_path: bool) -> None:
        super().__init__()
        half, quarter, eighth = blocks
        self.at_half = nn.Sequential(
            nn.PixelUnshuffle(2), nn.Conv2d(12, channels, 3, padding=1), nn.ReLU(), *_level(channels, half)
        )
        self.at_quarter = nn.Sequential(_down(channels), *_level(channels, quarter))
        self.at_eighth = nn.Sequential(_down(channels), *_level(channels, eighth, side_path=side_path))
        self.to_latent = nn.Conv2d(channels, latent_channels, 3, padding=1)

    def levels(self) -> list[nn.Module]:
        """The parts in order; distillation matches the teacher's features after each."""
        return [self.at_half, self.at_quarter, self.at_eighth, self.to_latent]

    def forward(self, x: Tensor) -> Tensor:
        for level in self.levels():
            x = level(x)
        return x


class TinyDecoder(nn.Module):
    """Latent to picture, the mirror of `TinyEncoder`.

    Args:
        channels: width of every level.
        latent_channels: channels of the latent.
        blocks: residual blocks at 1/8, 1/4, 1/2 of the size, and at 1/2 before the last shuffle.
        side_path: whether the blocks at 1/8 carry the normalised side path.

    Shape:
        - Input: (B, latent_channels, H/8, W/8).
        - Output: (B, 3, H, W), about [0, 1], not clamped.
    """

    def __init__(
        self, *, channels: int, latent_channels: int, blocks: tuple[int, int, int, int], side_path: bool
    ) -> None:
        super().__init__()
        eighth, quarter, half, last = blocks
        self.at_eighth = nn.Sequential(
            nn.Conv2d(latent_channels, channels, 3, padding=1),
            nn.ReLU(),
            *_level(channels, eighth, side_path=side_path),
        )
        self.at_quarter = self._up(channels, quarter)
        self.at_half = self._up(channels, half)
        self.to_picture = nn.Sequential(
            *_level(channels, last), nn.Conv2d(channels, 12, 3, padding=1), nn.PixelShuffle(2)
        )

    @staticmethod
    def _up(channels: int, blocks: int) -> nn.Sequential:
        return nn.Sequential(
            nn.Upsample(scale_factor=2),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            *_level(channels, blocks),
        )

    def levels(self) -> list[nn.Module]:
        """The parts in order; distillation matches the teacher's features after each."""
        return [self.at_eighth, self.at_quarter, self.at_half, self.to_picture]

    def forward(self, z: Tensor) -> Tensor:
        x = 3 * torch.tanh(z / 3)
        for level in self.levels():
            x = level(x)
        return x
