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
    """||E(x) - E(target)||^2, relative to where it began."""

    needs_target = True

    def __init__(self, surrogate: Surrogate, original: Tensor, *, target: Target | None = None) -> None:
        super().__init__(surrogate, original, target=target)
        assert self.target is not None
        with torch.no_grad():
            self._goal = surrogate.encode(self.target.at(original.shape).to(original))
            self._start = (surrogate.encode(original) - self._goal).pow(2).mean((1, 2, 3)).clamp_min(1e-8)

    def __call__(self, x: Tensor) -> Tensor:
        return (self.surrogate.encode(x) - self._goal).pow(2).mean((1, 2, 3)) / self._start
