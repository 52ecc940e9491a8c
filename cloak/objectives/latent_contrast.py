"""The latent's statistics leave the picture's own style and go to another."""

import torch
from torch import Tensor

from cloak.objectives.base import OBJECTIVES, Objective
from cloak.perceptual import style_statistics
from cloak.surrogates import Surrogate
from cloak.targets import Target

__all__ = ["LatentContrast"]


@OBJECTIVES.register(
    "latent_contrast",
    summary="channel means and variances of the latent go to the target's and away from the original's",
    reference="Li et al. 2025 (StyleGuard), arXiv 2505.18766, style loss",
    licence="none",
    requires=frozenset({"encode"}),
)
class LatentContrast(Objective):
    """Squared distance of channel means and variances to the target's, minus that to the original's."""

    needs_target = True

    def __init__(self, surrogate: Surrogate, original: Tensor, *, target: Target | None = None) -> None:
        super().__init__(surrogate, original, target=target)
        assert self.target is not None
        with torch.no_grad():
            self._before = self._statistics(original)
            self._goal = self._statistics(self.target.at(original.shape).to(original))

    def _statistics(self, x: Tensor) -> Tensor:
        mean, deviation = style_statistics([self.surrogate.encode(x)])[0].chunk(2, dim=1)
        return torch.cat([mean, deviation.pow(2)], 1)

    def __call__(self, x: Tensor) -> Tensor:
        now = self._statistics(x)
        return ((now - self._goal).pow(2) - (now - self._before).pow(2)).sum(1).to(x.device)
