"""What the model sees turns purple, or green where it was purple."""

import torch
from torch import Tensor

from cloak.inquiry import Inquiring, Inquiry
from cloak.objectives.base import OBJECTIVES, Objective
from cloak.surrogates import Surrogate
from cloak.targets import Target

__all__ = ["DecodedPalette"]

_PURPLE = (0.5, -1.0, 0.5)
_PURPLISH = 0.01  # mean colour along that axis from which a picture is purple itself, [0, 1] units


@OBJECTIVES.register(
    "decoded_palette",
    summary="decode(encode(x)) as a whole turns purple, or green where it was purple",
    requires=frozenset({"encode", "decode"}),
)
class DecodedPalette(Inquiring, Objective):
    """Minus the mean change of decode(encode(x)) along the axis from green to purple, in [0, 1] units.

    Unlike `decoded_untargeted` it moves all of a picture and nearly all pictures the same way, so that what a mimic
    learns from many of them does not average out. An attacker who matches the colours of what is drawn to the
    published pictures takes it back (docs/proof.md).

    Args:
        surrogate, original, target: see `Objective`.
    """

    requires = frozenset({"encode", "decode"})

    def __init__(self, surrogate: Surrogate, original: Tensor, *, target: Target | None = None) -> None:
        super().__init__(surrogate, original, target=target)
        with torch.no_grad():
            self._seen = surrogate.see(original)
        purple = torch.tensor(_PURPLE).to(self._seen).view(1, 3, 1, 1)
        purple = purple / purple.norm()
        own = (self._seen.mean((2, 3), keepdim=True) * purple).sum(1, keepdim=True)  # (B, 1, 1, 1)
        self._towards = torch.where(own > _PURPLISH, -purple, purple)

    def inquire(self, x: Tensor) -> Inquiry:
        change = (yield self.surrogate.see, x) - self._seen
        return -(change.mean((2, 3), keepdim=True) * self._towards).sum((1, 2, 3))
