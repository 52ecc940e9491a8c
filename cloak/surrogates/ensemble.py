"""Several surrogates at once; attacking them together costs each hardly any of its own effect."""

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from typing_extensions import Self

from cloak.errors import UnknownNameError, UsageError
from cloak.surrogates.base import Surrogate

__all__ = ["Ensemble"]


class Ensemble:
    """Surrogates side by side; what one returns as a tensor, the ensemble returns as a list with one for each.

    Args:
        members: at least one, no two of the same name.
    """

    bounds = Surrogate.bounds

    def __init__(self, members: Sequence[Surrogate]) -> None:
        names = [member.name for member in members]
        if not names or len(set(names)) < len(names):
            given = ", ".join(names) or "none"
            raise UsageError(f"An ensemble needs at least one model and each only once, got: {given}.")
        self.members = list(members)

    @property
    def names(self) -> list[str]:
        """Names of the members, in order."""
        return [member.name for member in self.members]

    @property
    def capabilities(self) -> frozenset[str]:
        """What every member can do."""
        return frozenset.intersection(*(member.capabilities for member in self.members))

    @property
    def downscale(self) -> int:
        """Smallest grid that fits every member's latent grid, in pixels."""
        return math.lcm(*(member.downscale for member in self.members))

    def __len__(self) -> int:
        return len(self.members)

    def __iter__(self) -> Iterator[Surrogate]:
        return iter(self.members)

    def __getitem__(self, name: str) -> Surrogate:
        for member in self.members:
            if member.name == name:
                return member
        raise UnknownNameError("ensemble member", name, self.names)

    def having(self, capability: str) -> list[Surrogate]:
        """The members that can do it."""
        return [member for member in self.members if capability in member.capabilities]

    def encode(self, x: Tensor) -> list[Tensor]:
        """Latents of every member; see `Surrogate.encode`."""
        return [member.encode(x) for member in self.members]

    def decode(self, latents: Sequence[Tensor], size: tuple[int, int] | None = None) -> list[Tensor]:
        """Pictures of one latent for each member; see `Surrogate.decode`."""
        return [member.decode(z, size) for member, z in zip(self.members, latents, strict=True)]

    def see(self, x: Tensor) -> list[Tensor]:
        """What every member makes of a picture; see `Surrogate.see`."""
        return [member.see(x) for member in self.members]

    def features(self, x: Tensor) -> list[list[Tensor]]:
        """Encoder maps of every member; see `Surrogate.features`."""
        return [member.features(x) for member in self.members]

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> Self:
        """Move every member; see `Surrogate.to`."""
        for member in self.members:
            member.to(device, dtype)
        return self
