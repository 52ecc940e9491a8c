"""What is installed besides the page itself."""

from importlib.util import find_spec

__all__ = ["eval_missing"]

_EVAL = ("peft", "sklearn", "ncnn")  # packages that only the extra "eval" brings


def eval_missing() -> bool:
    """Whether mimics and most counter-attacks cannot run here; `pip install 'artcloak[eval]'` brings them."""
    return any(find_spec(name) is None for name in _EVAL)
