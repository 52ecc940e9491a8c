"""The latent moves to the latent of the target."""

import torch
from torch import Tensor

from cloak.objectives.base import OBJECTIVES, Objective
from cloak.surrogates import Surrogate
from cloak.targets import Target

__all__ = ["EncoderTarget"]


@OBJECTIVES.register(
    "encoder_target",
    summary="the latent moves to another picture's latent",
    reference="Liang & Wu 2023 (Mist), arXiv 2305.12683; Salman et al. 2023 (PhotoGuard), arXiv 2302.06588, eq. 2",
    licence="GPL-3.0 / MIT",
    requires=frozenset({"encode"}),
)
class EncoderTarget(Objective):
    """||E(x) - E(target)||^2, mean over the latent.

    Args:
        surrogate, original, target: see `Objective`.
        relative: whether it is divided by what it was at the original.
    """

    needs_target = True

    def __init__(
        self, surrogate: Surrogate, original: Tensor, *, target: Target | None = None, relative: bool = True
    ) -> None:
        super().__init__(surrogate, original, target=target)
        assert self.target is not None
        with torch.no_grad():
            self._goal = surrogate.encode(self.target.at(original.shape).to(original))
            start = (surrogate.encode(original) - self._goal).pow(2).mean((1, 2, 3)).clamp_min(1e-8)
        self._start = start if relative else torch.ones_like(start)

    def __call__(self, x: Tensor) -> Tensor:
        return (self.surrogate.encode(x) - self._goal).pow(2).mean((1, 2, 3)) / self._start
