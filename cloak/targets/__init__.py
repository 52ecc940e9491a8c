"""Which style to push towards."""

from cloak.targets.base import Target
from cloak.targets.choosing import choose_target, farthest_style, style_distance
from cloak.targets.key import PortfolioKey, read_key, write_key
from cloak.targets.painted import STYLE_NAMES, painted_style

__all__ = [
    "STYLE_NAMES",
    "PortfolioKey",
    "Target",
    "choose_target",
    "farthest_style",
    "painted_style",
    "read_key",
    "style_distance",
    "write_key",
]
