"""The latent's channel statistics become those of a far style."""

import torch
from torch import Tensor

from cloak.objectives.base import OBJECTIVES, Objective
from cloak.perceptual import style_statistics
from cloak.surrogates import Surrogate
from cloak.targets import Target

__all__ = ["LatentStyle"]


@OBJECTIVES.register(
    "latent_style",
    summary="the latent takes on the channel means and deviations of a far style's latent",
    reference="Li et al. 2025 (StyleGuard), arXiv 2505.18766, style loss",
    licence="none",
    requires=frozenset({"encode"}),
)
class LatentStyle(Objective):
    """Distance of per-picture, per-channel latent statistics to the target's, relative to where it began.

    StyleGuard takes its statistics over batch and space together; here each picture has its own.
    """

    needs_target = True

    def __init__(self, surrogate: Surrogate, original: Tensor, *, target: Target | None = None) -> None:
        super().__init__(surrogate, original, target=target)
        assert self.target is not None
        with torch.no_grad():
            self._goal = self._statistics(self.target.at(original.shape).to(original))
            self._start = (self._statistics(original) - self._goal).pow(2).mean(1).clamp_min(1e-8)

    def _statistics(self, x: Tensor) -> Tensor:
        return style_statistics([self.surrogate.encode(x)])[0]

    def __call__(self, x: Tensor) -> Tensor:
        return (self._statistics(x) - self._goal).pow(2).mean(1) / self._start
