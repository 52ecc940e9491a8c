"""How long a picture will take on this machine, from a quarter-second benchmark of the embedded model."""

import functools
import time

import torch

from cloak.device import resolve_device, working_dtype
from cloak.effort import EFFORTS
from cloak.surrogates import load_surrogate
from cloak.types import Battery, Device, Effort

__all__ = ["seconds_per_megapixel"]

_PROBE_SIDE = 192
_STEP_OVERHEAD = 1.35  # transforms, smoothing and the second model, relative to the round trip alone
_SHARE: dict[Battery, float] = {"none": 0.4, "short": 0.6, "full": 1.0}  # of the following
_MEASURING = 26  # round trips at 512 px that fitting, verifying and the controls cost, measured


@functools.cache
def _seconds_per_pixel(device: torch.device) -> float:
    """One gradient through the embedded autoencoder, per pixel looked at; best of three."""
    surrogate = load_surrogate("tiny-flux2").to(device, working_dtype(device))
    probe = torch.full((1, 3, _PROBE_SIDE, _PROBE_SIDE), 0.5, requires_grad=True)
    times = []
    for _ in range(3):
        begin = time.perf_counter()
        torch.autograd.grad(surrogate.see(probe).sum(), probe)
        times.append(time.perf_counter() - begin)
    return min(times) / _PROBE_SIDE**2


def seconds_per_megapixel(effort: Effort, *, device: Device = "auto") -> float:
    """Estimated seconds for a picture of one megapixel with the embedded models.

    Larger pictures take less per megapixel: models look at them at training size.
    """
    level = EFFORTS[effort]
    each = _seconds_per_pixel(resolve_device(device))
    optimising = level.steps * level.side**2 * each * _STEP_OVERHEAD
    measuring = _MEASURING * 512**2 * each * _SHARE[level.battery]
    return optimising + measuring
