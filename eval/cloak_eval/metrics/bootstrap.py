"""How sure a figure is: percentile intervals over resampled drawings, paired where two arms share prompts and seeds.

References:
    Efron & Tibshirani 1993, "An Introduction to the Bootstrap", chapter 13.
"""

from collections.abc import Callable

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

__all__ = ["Interval", "bootstrap", "paired_difference"]

_COVERAGE = 0.95


class Interval(BaseModel):
    """A figure with its 95 % interval."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: float
    low: float = Field(description="2.5th percentile of the resamples.")
    high: float = Field(description="97.5th percentile of the resamples.")
    n: int = Field(description="Samples that the figure rests on.")


def bootstrap(
    samples: Tensor, statistic: Callable[[Tensor], float], *, resamples: int = 400, seed: int = 0
) -> Interval:
    """The statistic of samples (N, ...) and how it varies when they are drawn again with replacement."""
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.randint(len(samples), (resamples, len(samples)), generator=generator)
    values = torch.tensor([statistic(samples[rows]) for rows in chosen], dtype=torch.float64)
    tail = (1 - _COVERAGE) / 2
    low, high = torch.quantile(values, torch.tensor([tail, 1 - tail], dtype=torch.float64)).tolist()
    return Interval(value=statistic(samples), low=low, high=high, n=len(samples))


def paired_difference(first: Tensor, second: Tensor, *, resamples: int = 1000, seed: int = 0) -> Interval:
    """Mean of first - second, (N,) each, row by row of the same prompt and seed.

    Raises:
        ValueError: they are not of equal length.
    """
    if first.shape != second.shape:
        raise ValueError(f"pairs need equal lengths, got {tuple(first.shape)} and {tuple(second.shape)}")
    return bootstrap((first - second).double(), lambda rows: float(rows.mean()), resamples=resamples, seed=seed)
