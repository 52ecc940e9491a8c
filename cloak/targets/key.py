"""The portfolio key: one target for all of an artist's pictures, so that they push a mimic the same way."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cloak.errors import UsageError
from cloak.image import write_file
from cloak.targets.painted import STYLE_NAMES

__all__ = ["PortfolioKey", "read_key", "write_key"]


class PortfolioKey(BaseModel):
    """What a key file holds. Losing it is harmless; whoever has it knows which way the portfolio was pushed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    style: str = Field(description="Name of the target style.")


def read_key(path: Path) -> PortfolioKey:
    """Read a key file; raises UsageError when it is missing, unreadable or not a key."""
    try:
        key = PortfolioKey.model_validate_json(path.read_text())
    except OSError as error:
        raise UsageError(f"Cannot read the key {path}: {error.strerror or error}.") from error
    except (ValidationError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not a portfolio key of this version.") from error
    if key.style not in STYLE_NAMES:
        raise UsageError(f"The key {path} names the style {key.style!r}, which this version does not have.")
    return key


def write_key(key: PortfolioKey, path: Path) -> None:
    """Write a new key file that only its owner can read; raises OutputError when there is a file of that name."""
    write_file(key.model_dump_json().encode() + b"\n", path, mode=0o600)
