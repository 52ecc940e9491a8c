"""From what an autoencoder puts out to the units its denoiser works in, and back."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["LatentScale", "patchify", "unpatchify"]


@dataclass(frozen=True, slots=True)
class LatentScale:
    """z = (raw - shift) * factor, as every family's pipeline in diffusers does before denoising.

    Args:
        shift: float32, broadcast against (B, C, h, w).
        factor: float32, broadcast against (B, C, h, w), not zero.
    """

    shift: Tensor
    factor: Tensor

    def scale(self, raw: Tensor) -> Tensor:
        """Autoencoder units to denoiser units."""
        return (raw - self.shift) * self.factor

    def unscale(self, z: Tensor) -> Tensor:
        """Denoiser units to autoencoder units."""
        return z / self.factor + self.shift

    def to(self, device: torch.device) -> "LatentScale":
        """The same numbers on `device`; they stay float32 whatever the network computes in."""
        return replace(self, shift=self.shift.to(device), factor=self.factor.to(device))


def patchify(raw: Tensor, patch: int) -> Tensor:
    """(B, C, h, w) to (B, C * patch², h / patch, w / patch): FLUX.2 denoises patches of the latent."""
    return functional.pixel_unshuffle(raw, patch)


def unpatchify(z: Tensor, patch: int) -> Tensor:
    """Inverse of `patchify`."""
    return functional.pixel_shuffle(z, patch)
