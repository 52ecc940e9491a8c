"""Which settings decide what a result is: pictures are made anew when these change, and only then."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from cloak.config import ProtectConfig

__all__ = ["settings_digest"]

_ELSEWHERE = frozenset({"device", "max_memory", "models", "key"})  # where and how to compute, or looked up below


def settings_digest(config: ProtectConfig, models: Sequence[str]) -> str:
    """sha256 of everything but the picture that decides a result.

    Args:
        config: settings; a key or a target that is a file counts with its contents.
        models: names that the settings' models stand for on this machine.
    """
    decisive = config.model_dump(mode="json", exclude=set(_ELSEWHERE))
    decisive |= {"models": list(models), "key": _contents(config.key), "target_file": _contents(Path(config.target))}
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()


def _contents(path: Path | None) -> str | None:
    """Hash of a file, None when there is none."""
    try:
        return None if path is None else hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None
