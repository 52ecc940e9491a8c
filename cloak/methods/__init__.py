"""Named recipes, each one small file."""

from cloak.methods.base import METHODS, Method, Published
from cloak.methods.peer import Peer, as_published

__all__ = ["METHODS", "Method", "Peer", "Published", "as_published"]
