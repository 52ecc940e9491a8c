"""A thief who does nothing."""

from cloak_eval.countermeasures.base import COUNTERMEASURES, Countermeasure

__all__ = ["Nothing"]


@COUNTERMEASURES.register("none", summary="the pictures as they were published")
class Nothing(Countermeasure):
    """The baseline of every comparison."""
