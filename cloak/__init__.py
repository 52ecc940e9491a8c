"""artcloak: protect an artist's style before a picture is posted.

Importing this package is cheap; torch and the models are loaded when a picture is protected.

    >>> import cloak
    >>> result = cloak.protect("painting.png", strength="balanced")  # doctest: +SKIP
"""

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cloak.certificate import Certificate
    from cloak.config import ProtectConfig
    from cloak.destination import plan_output
    from cloak.errors import CloakError
    from cloak.protect import Protector, Result, protect
    from cloak.types import Step

__version__ = "0.1.0"

__all__ = [
    "Certificate",
    "CloakError",
    "ProtectConfig",
    "Protector",
    "Result",
    "Step",
    "__version__",
    "plan_output",
    "protect",
]

_HOMES = {
    "Certificate": "cloak.certificate",
    "CloakError": "cloak.errors",
    "ProtectConfig": "cloak.config",
    "Protector": "cloak.protect",
    "Result": "cloak.protect",
    "Step": "cloak.types",
    "plan_output": "cloak.destination",
    "protect": "cloak.protect",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'cloak' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


class _Package(ModuleType):
    """Keeps `cloak.protect` the function when the import system binds the submodule of the same name."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "protect" and isinstance(value, ModuleType):
            value = value.protect
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
