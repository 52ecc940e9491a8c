"""Which style to push towards."""

from cloak.targets.base import Target
from cloak.targets.choosing import choose_target, style_distance
from cloak.targets.key import PortfolioKey, read_key
from cloak.targets.painted import STYLE_NAMES, painted_style

__all__ = ["STYLE_NAMES", "PortfolioKey", "Target", "choose_target", "painted_style", "read_key", "style_distance"]
