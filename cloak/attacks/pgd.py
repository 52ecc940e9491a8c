"""Projected gradient descent with momentum, by sign steps or by Adam.

References:
    Madry et al. 2018, arXiv 1706.06083, eq. 3 (projection); Dong et al. 2018, arXiv 1710.06081, eq. 6-7 (momentum);
    Dong et al. 2019, arXiv 1904.02884, eq. 9 (smoothed gradients); Kingma & Ba 2015, arXiv 1412.6980 (Adam).
"""

from collections.abc import Iterator
from typing import Literal

import torch
from kornia.filters import gaussian_blur2d
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from cloak.attacks.base import Attack, AttackStep, Loss
from cloak.budgets import Linf

__all__ = ["PGD", "PGDConfig"]


_REFERENCE_SIDE = 512


class PGDConfig(BaseModel):
    """Settings of the loop."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: int = Field(default=40, ge=0, le=100_000, description="Steps at most.")
    optimiser: Literal["sign", "adam"] = Field(default="sign", description="Update rule.")
    momentum: float = Field(default=0.9, ge=0, lt=1, description="Decay of the accumulated gradient (sign steps).")
    travel: float = Field(
        default=5.0, gt=0, description="Length of the whole path, in radii; the step length follows from it."
    )
    smoothing: float = Field(
        default=1.0, ge=0, le=8, description="Gaussian blur of the gradient, pixels at 512 px short side; 0 for none."
    )
    decay: float = Field(default=0.8, ge=0, le=1, description="Share by which the step length falls until the end.")
    patience: int = Field(default=0, ge=0, description="Stop after this many steps without progress; 0 for never.")


class PGD(Attack):
    """Sign-momentum or Adam steps inside a weighted L-infinity ball.

    The step length falls linearly, to a fifth by default. With a stochastic loss the last picture is the best estimate
    of the optimum (its momentum averages over many draws), so "best so far" is the last one.

    Args:
        budget: the ball.
        config: settings of the loop.
        generator: source of the random start.
    """

    budget: Linf

    def __init__(self, budget: Linf, *, config: PGDConfig, generator: torch.Generator) -> None:
        super().__init__(budget)
        self.config, self.generator = config, generator

    def steps(self, x0: Tensor, loss: Loss) -> Iterator[AttackStep]:
        config = self.config
        start = 2 * torch.rand(x0.shape, generator=self.generator).to(x0) - 1
        x = self.budget.project(x0 + 0.3 * self.budget.radius * start, x0)
        state = _Moments(config)
        plateau = _Plateau(config.patience)
        for index in range(config.steps):
            x = x.detach().requires_grad_()
            with torch.enable_grad():  # also where the caller has switched gradients off
                values = loss(x)
                (gradient,) = torch.autograd.grad(values.sum(), x)
            direction = state.direction(_smoothed(gradient, config.smoothing))
            rate = config.travel / config.steps * (1 - config.decay * index / config.steps)
            x = self.budget.project(x.detach() - rate * self.budget.radius * direction, x0)
            value = float(values.detach().mean())
            yield AttackStep(index + 1, config.steps, value, float((x - x0).abs().max()), x)
            if plateau.reached(value):
                return


class _Moments:
    """Accumulated gradients and the direction that they give."""

    def __init__(self, config: PGDConfig) -> None:
        self.config = config
        self.first: Tensor | None = None
        self.second: Tensor | None = None
        self.count = 0

    def direction(self, gradient: Tensor) -> Tensor:
        looked_at = (gradient != 0).sum((1, 2, 3), keepdim=True).clamp_min(1)  # not all, where the loss saw a part
        scale = (gradient.abs().sum((1, 2, 3), keepdim=True) / looked_at).clamp_min(1e-20)
        gradient = gradient / scale  # pictures and transforms differ by orders of magnitude
        self.count += 1
        if self.first is None or self.second is None:
            self.first, self.second = torch.zeros_like(gradient), torch.zeros_like(gradient)
        if self.config.optimiser == "sign":
            self.first = self.config.momentum * self.first + gradient
            return self.first.sign()
        self.first = 0.9 * self.first + 0.1 * gradient
        self.second = 0.99 * self.second + 0.01 * gradient**2
        mean = self.first / (1 - 0.9**self.count)
        deviation = (self.second / (1 - 0.99**self.count)).sqrt()
        return mean / (deviation + 1e-8)


class _Plateau:
    """Says when a running mean of the loss has stopped falling."""

    def __init__(self, patience: int) -> None:
        self.patience = patience
        self.mean: float | None = None
        self.best = float("inf")
        self.since = 0

    def reached(self, value: float) -> bool:
        self.mean = value if self.mean is None else 0.8 * self.mean + 0.2 * value
        if self.mean < self.best - 1e-3 * abs(self.best if self.best < float("inf") else 1.0):
            self.best, self.since = self.mean, 0
        else:
            self.since += 1
        return 0 < self.patience <= self.since


def _smoothed(gradient: Tensor, sigma: float) -> Tensor:
    sigma *= min(gradient.shape[-2:]) / _REFERENCE_SIDE
    size = min(2 * int(3 * sigma + 0.5) + 1, 2 * (min(gradient.shape[-2:]) // 2) - 1)
    if sigma == 0 or size < 3:
        return gradient
    return gaussian_blur2d(gradient, (size, size), (sigma, sigma))
