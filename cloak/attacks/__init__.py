"""The optimiser loop."""

from cloak.attacks.base import Attack, AttackStep
from cloak.attacks.pgd import PGD, Descent, PGDConfig, UnlikeAloneError, descend

__all__ = ["PGD", "Attack", "AttackStep", "Descent", "PGDConfig", "UnlikeAloneError", "descend"]
