"""The latent moves away from where it was."""

import torch
from torch import Tensor

from cloak.inquiry import Inquiring, Inquiry
from cloak.objectives.base import OBJECTIVES, Objective
from cloak.surrogates import Surrogate
from cloak.targets import Target

__all__ = ["EncoderUntargeted"]


@OBJECTIVES.register(
    "encoder_untargeted",
    summary="the latent moves away from the original's",
    reference="Li et al. 2024 (PID), ICML, arXiv 2406.15305, mean term",
    licence="none",
    requires=frozenset({"encode"}),
)
class EncoderUntargeted(Inquiring, Objective):
    """Minus the root mean square movement of the latent, relative to the latent's spread."""

    def __init__(self, surrogate: Surrogate, original: Tensor, *, target: Target | None = None) -> None:
        super().__init__(surrogate, original, target=target)
        with torch.no_grad():
            self._latent = surrogate.encode(original)
            self._spread = self._latent.flatten(1).std(1).clamp_min(1e-4)

    def inquire(self, x: Tensor) -> Inquiry:
        moved = ((yield self.surrogate.encode, x) - self._latent).pow(2).mean((1, 2, 3))
        return -(moved + 1e-12).sqrt() / self._spread
