"""The optimiser loop."""

from cloak.attacks.base import Attack, AttackStep
from cloak.attacks.pgd import PGD, PGDConfig

__all__ = ["PGD", "Attack", "AttackStep", "PGDConfig"]
