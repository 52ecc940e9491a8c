"""The flagship's way with another aim: one change of palette for all pictures."""

from torch import Tensor

from cloak.methods.artcloak import Artcloak
from cloak.methods.base import METHODS, Loss
from cloak.objectives import DecodedPalette
from cloak.surrogates import Surrogate
from cloak.targets import Target

__all__ = ["Palette"]


@METHODS.register(
    "palette",
    summary="through encoder and decoder: what the model sees turns purple, or green where it was purple",
    requires=frozenset({"encode", "decode"}),
)
class Palette(Artcloak):
    """`decoded_palette` on models that decode; others have nothing to offer it."""

    def loss(self, surrogate: Surrogate, original: Tensor, target: Target | None) -> Loss | None:  # noqa: ARG002
        return DecodedPalette(surrogate, original) if "decode" in surrogate.capabilities else None
