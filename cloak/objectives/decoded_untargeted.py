"""What the model sees moves away from the original: colour, and texture, line and shading."""

import torch
from torch import Tensor

from cloak.inquiry import Inquiring, Inquiry
from cloak.objectives.base import OBJECTIVES, Objective
from cloak.perceptual import low_frequency, middle_band
from cloak.surrogates import Surrogate
from cloak.targets import Target

__all__ = ["DecodedUntargeted"]


@OBJECTIVES.register(
    "decoded_untargeted",
    summary="change what decode(encode(x)) looks like: low frequencies and texture",
    requires=frozenset({"encode", "decode"}),
)
class DecodedUntargeted(Inquiring, Objective):
    """Minus the change of decode(encode(x)), by frequency.

    Args:
        surrogate, original, target: see `Objective`.
        band: weight of the middle band (texture, line, shading) beside the low frequencies.
        uniform: share of the picture-wide colour shift that counts, [0, 1]; an attacker can correct that part.
    """

    requires = frozenset({"encode", "decode"})

    def __init__(
        self,
        surrogate: Surrogate,
        original: Tensor,
        *,
        target: Target | None = None,
        band: float = 0.3,
        uniform: float = 0.5,
    ) -> None:
        super().__init__(surrogate, original, target=target)
        self.band, self.uniform = band, uniform
        with torch.no_grad():
            self._seen = surrogate.see(original)

    def inquire(self, x: Tensor) -> Inquiry:
        change = (yield self.surrogate.see, x) - self._seen
        change = change - (1 - self.uniform) * change.mean((2, 3), keepdim=True)
        return -(_rms(low_frequency(change)) + self.band * _rms(middle_band(change)))


def _rms(x: Tensor) -> Tensor:
    return (x.pow(2).mean((1, 2, 3)) + 1e-12).sqrt()  # (B,)
