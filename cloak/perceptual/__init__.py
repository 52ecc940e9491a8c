"""Distances that people would agree with, and where changes hide."""

from cloak.perceptual.colour import ciede2000, delta_e_2000, oklab
from cloak.perceptual.frequency import low_frequency, low_frequency_rms, match_colours, middle_band
from cloak.perceptual.lpips import LPIPS, lpips, style_statistics
from cloak.perceptual.masking import Masking, masking_weights
from cloak.perceptual.standard import standard_lpips

__all__ = [
    "LPIPS",
    "Masking",
    "ciede2000",
    "delta_e_2000",
    "low_frequency",
    "low_frequency_rms",
    "lpips",
    "masking_weights",
    "match_colours",
    "middle_band",
    "oklab",
    "standard_lpips",
    "style_statistics",
]
