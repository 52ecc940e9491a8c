"""The change looks like the picture itself by frequency, so that what removes noise finds none."""

import torch
from torch import Tensor

__all__ = ["SpectrumMatch"]

_BANDS = 12


class SpectrumMatch:
    """Largest |log10 power - log10 power of the original| over radial bands of the spectrum; a penalty, 0 at first.

    Args:
        original: the untouched picture, (B, 3, H, W) in [0, 1].

    References:
        Kim et al. 2025 (BlurGuard), NeurIPS.
    """

    def __init__(self, original: Tensor) -> None:
        self._before = _spectrum(original)

    def __call__(self, x: Tensor) -> Tensor:
        return (_spectrum(x) - self._before.to(x.device)).abs().amax(1)


def _spectrum(x: Tensor) -> Tensor:
    """log10 of the mean power in radial bands from low to high frequency, (B, bands)."""
    power = torch.fft.rfft2(x.mean(1), norm="ortho").abs().pow(2)  # (B, H, W // 2 + 1)
    rows, columns = torch.fft.fftfreq(x.shape[-2]), torch.fft.rfftfreq(x.shape[-1])
    radius = torch.hypot(rows[:, None], columns[None]).to(x.device)
    band = (radius / 0.5 * _BANDS).long().clamp(max=_BANDS - 1).flatten()
    zero = torch.zeros(len(x), _BANDS, device=x.device)
    total = zero.index_add(1, band, power.flatten(1))
    count = torch.bincount(band, minlength=_BANDS).clamp_min(1)
    return (total / count + 1e-8).log10()
