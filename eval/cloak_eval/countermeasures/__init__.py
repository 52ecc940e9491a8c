"""What a thief does against a cloak: to the pictures, to the model, or to what the mimic drew."""

from cloak_eval.countermeasures.base import COUNTERMEASURES, Countermeasure
from cloak_eval.countermeasures.chain import Chain, countermeasure

__all__ = ["COUNTERMEASURES", "Chain", "Countermeasure", "countermeasure"]
