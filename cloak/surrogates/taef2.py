"""The published tiny autoencoder of FLUX.2's latent space (madebyollin/taef2, MIT), by its original tensor names.

diffusers' `AutoencoderTiny` has no globally normalised side path, so the two networks are rebuilt here from the
published structure.
"""

import torch
from torch import Tensor, nn

__all__ = ["Taef2Decoder", "Taef2Encoder"]

_WIDTH = 64


class _Block(nn.Module):
    def __init__(self, *, pool: bool = False) -> None:
        super().__init__()
        n = _WIDTH
        self.conv = nn.Sequential(
            nn.Conv2d(n, n, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(n, n, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(n, n, 3, padding=1),
        )
        self.pool: nn.Sequential | None = None
        if pool:
            self.pool = nn.Sequential(
                nn.Conv2d(n, 4 * n, 1, bias=False),
                nn.GroupNorm(4, 4 * n),
                nn.ReLU(),
                nn.Conv2d(4 * n, n, 1, bias=False),
            )

    def forward(self, x: Tensor) -> Tensor:
        if self.pool is not None:
            x = x + self.pool(x)
        return torch.relu(self.conv(x) + x)


def _blocks(count: int, *, pool: bool = False) -> list[nn.Module]:
    return [_Block(pool=pool) for _ in range(count)]


def _down() -> nn.Conv2d:
    return nn.Conv2d(_WIDTH, _WIDTH, 3, stride=2, padding=1, bias=False)


def _up() -> list[nn.Module]:
    return [nn.Upsample(scale_factor=2), nn.Conv2d(_WIDTH, _WIDTH, 3, padding=1, bias=False)]


class _Clamp(nn.Module):
    def forward(self, z: Tensor) -> Tensor:
        return 3 * torch.tanh(z / 3)


class Taef2Encoder(nn.Sequential):
    """(B, 3, H, W) in [0, 1] to (B, 32, H/8, W/8). `level_ends` are the last layers at 1/2, 1/4, 1/8 and the latent."""

    level_ends = (5, 9, 13, 14)

    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(3, _WIDTH, 3, padding=1),
            *_blocks(1),
            _down(),
            *_blocks(3),
            _down(),
            *_blocks(3),
            _down(),
            *_blocks(3, pool=True),
            nn.Conv2d(_WIDTH, 32, 3, padding=1),
        )


class Taef2Decoder(nn.Sequential):
    """(B, 32, H/8, W/8) to (B, 3, H, W). `level_ends` are the last layers at 1/8, 1/4, 1/2 and the picture."""

    level_ends = (5, 10, 15, 19)

    def __init__(self) -> None:
        super().__init__(
            _Clamp(),
            nn.Conv2d(32, _WIDTH, 3, padding=1),
            nn.ReLU(),
            *_blocks(3, pool=True),
            *_up(),
            *_blocks(3),
            *_up(),
            *_blocks(3),
            *_up(),
            *_blocks(1),
            nn.Conv2d(_WIDTH, 3, 3, padding=1),
        )
