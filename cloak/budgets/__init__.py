"""How far a picture may move."""

from cloak.budgets.base import Budget, Realise
from cloak.budgets.linf import Linf
from cloak.budgets.perceptual import PerceptualBudget, Visibility, fit_scale, round_to_8_bits, visibility_from
from cloak.budgets.strengths import STRENGTHS, StrengthLevel, uniform_level

__all__ = [
    "STRENGTHS",
    "Budget",
    "Linf",
    "PerceptualBudget",
    "Realise",
    "StrengthLevel",
    "Visibility",
    "fit_scale",
    "round_to_8_bits",
    "uniform_level",
    "visibility_from",
]
