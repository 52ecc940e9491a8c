"""Projected gradient descent with momentum, by sign steps or by Adam.

References:
    Madry et al. 2018, arXiv 1706.06083, eq. 3 (projection); Dong et al. 2018, arXiv 1710.06081, eq. 6-7 (momentum);
    Dong et al. 2019, arXiv 1904.02884, eq. 9 (smoothed gradients); Kingma & Ba 2015, arXiv 1412.6980 (Adam).
"""

from collections.abc import Iterator, Sequence
from typing import Literal

import torch
from kornia.filters import gaussian_blur2d
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from cloak.attacks.base import Attack, AttackStep, Loss
from cloak.budgets import Linf
from cloak.inquiry import answered, inquire

__all__ = ["PGD", "Descent", "PGDConfig", "UnlikeAloneError", "descend"]


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
        for steps in descend([Descent(self, x0, loss)]):
            yield from steps.values()


class Descent:
    """A picture on its way down, `x`.

    Args:
        attack: how it goes down.
        x0: where it begins, (B, 3, H, W).
        loss: what is lowered.
    """

    def __init__(self, attack: PGD, x0: Tensor, loss: Loss) -> None:
        self.x0, self.loss, self.generator = x0, loss, attack.generator
        self._budget, self._config = attack.budget, attack.config
        start = 2 * torch.rand(x0.shape, generator=attack.generator).to(x0) - 1
        self.x = self._budget.project(x0 + 0.3 * self._budget.radius * start, x0)
        self._state = _Moments(self._config)
        self._plateau = _Plateau(self._config.patience)
        self._index = 0
        self.ended = self._config.steps == 0

    def move(self, values: Tensor, gradient: Tensor) -> AttackStep:
        """One step, from the loss, (B,), and its gradient at `x`."""
        config, index = self._config, self._index
        direction = self._state.direction(_smoothed(gradient, config.smoothing))
        rate = config.travel / config.steps * (1 - config.decay * index / config.steps)
        self.x = self._budget.project(self.x.detach() - rate * self._budget.radius * direction, self.x0)
        value = float(values.detach().mean())
        self._index = index + 1
        self.ended = self._plateau.reached(value) or self._index == config.steps
        return AttackStep(self._index, config.steps, value, float((self.x - self.x0).abs().max()), self.x)


def descend(descents: Sequence[Descent], *, alike: set[int] | None = None) -> Iterator[dict[int, AttackStep]]:
    """Take steps with several pictures at a time until all have ended: those of each by its place.

    Every picture goes as it would alone, to the last bit, where models give the same bits for a picture alone and among
    others, which depends on processor and number format.

    Args:
        descents: pictures and losses; those that ask (`cloak.inquiry`) are answered together. No two share a generator.
        alike: how many at a time are known to do so, for this size. Where it is not known, the last picture is asked
            for alone as well, at the first step, and the number is added.

    Raises:
        UnlikeAloneError: it is not so here.
    """
    alike = set() if alike is None else alike
    while active := {place: descent for place, descent in enumerate(descents) if not descent.ended}:
        *_, last = active.values()
        before = last.generator.get_state()
        found = _gradients(list(active.values()))
        if len(active) > 1 and len(active) not in alike:
            after = last.generator.get_state()
            last.generator.set_state(before)
            ((_, alone),) = _gradients([last])
            last.generator.set_state(after)
            if not torch.equal(alone, found[-1][1]):
                raise UnlikeAloneError
            alike.add(len(active))
        yield {place: descent.move(*each) for (place, descent), each in zip(active.items(), found, strict=True)}


class UnlikeAloneError(Exception):
    """A picture among others does not get the bits that it gets alone."""


def _gradients(descents: Sequence[Descent]) -> list[tuple[Tensor, Tensor]]:
    """Loss and gradient of each."""
    for descent in descents:
        descent.x = descent.x.detach().requires_grad_()
    with torch.enable_grad():  # also where the caller has switched gradients off
        values = answered([inquire(descent.loss, descent.x) for descent in descents])
        gradients = torch.autograd.grad([each.sum() for each in values], [descent.x for descent in descents])
    return list(zip(values, gradients, strict=True))


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
