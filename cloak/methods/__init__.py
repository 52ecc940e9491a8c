"""Named recipes, each one small file."""

from cloak.methods.base import METHODS, Method

__all__ = ["METHODS", "Method"]
