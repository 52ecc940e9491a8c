"""Mean and variance of the encoder's posterior move away from where they were."""

import torch
from torch import Tensor

from cloak.objectives.base import OBJECTIVES, Objective
from cloak.surrogates import Surrogate
from cloak.targets import Target

__all__ = ["PosteriorShift"]


@OBJECTIVES.register(
    "posterior_shift",
    summary="mean and log variance of the encoder's posterior move away from the original's",
    reference="Li et al. 2024 (PID), arXiv 2406.15305 (add-log)",
    licence="none",
    requires=frozenset({"encode"}),
)
class PosteriorShift(Objective):
    """Minus the mean squared movement of both, added; of the mean alone where an encoder has no variance."""

    def __init__(self, surrogate: Surrogate, original: Tensor, *, target: Target | None = None) -> None:
        super().__init__(surrogate, original, target=target)
        with torch.no_grad():
            self._before = surrogate.posterior(original)

    def __call__(self, x: Tensor) -> Tensor:
        total = torch.zeros(len(x), device=x.device)
        for now, before in zip(self.surrogate.posterior(x), self._before, strict=True):
            if now is not None and before is not None:
                total = total - (now - before).pow(2).mean((1, 2, 3)).to(x.device)
        return total
