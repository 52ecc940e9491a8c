"""Every `__all__` is true: each name exists, none is listed twice, and every package has one."""

import importlib
import pkgutil
from types import ModuleType

import pytest

ROOTS = ("cloak", "cloak_eval", "cloak_ui")


def _modules() -> list[str]:
    names: list[str] = []
    for root in ROOTS:
        try:
            package = importlib.import_module(root)
        except ModuleNotFoundError:
            continue
        names.append(root)
        names += [found.name for found in pkgutil.walk_packages(package.__path__, f"{root}.")]
    return [name for name in names if not name.endswith("__main__")]


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.split(".")[0] in ROOTS:
            raise
        pytest.skip(f"{error.name} is not installed")


@pytest.mark.parametrize("name", _modules())
def test_exported_names_exist_once(name: str) -> None:
    module = _import(name)
    exported = getattr(module, "__all__", None)
    if exported is None:
        assert not hasattr(module, "__path__") or not (module.__doc__ or "").strip(), (
            f"{name} is a package without __all__"
        )
        return
    assert len(exported) == len(set(exported))
    missing = [each for each in exported if not hasattr(module, each)]
    assert not missing
