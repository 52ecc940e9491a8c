"""The record of a pulled model: which revision it is and the sha256 of its files, kept in the model's own folder.

Where the catalogue does not know a revision or a hash, what came with the first pull is recorded here and everything
later is compared with it: trust on first use.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from cloak.errors import ModelError

__all__ = ["RECORD_NAME", "PullRecord", "read_record", "write_record"]

RECORD_NAME = "artcloak-lock.json"
_SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class PullRecord:
    """What was pulled.

    Args:
        hub_id: owner/name on the hub.
        revision: commit that the files are of.
        sha256: hexadecimal, by path within the folder with forward slashes.
    """

    hub_id: str
    revision: str
    sha256: dict[str, str]


def read_record(folder: Path) -> PullRecord | None:
    """The record in a model's folder, None where there is none (the model was copied there by hand).

    Raises:
        ModelError: it cannot be made sense of.
    """
    path = folder / RECORD_NAME
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        files = {str(name): str(digest) for name, digest in content["sha256"].items()}
        return PullRecord(str(content["hub_id"]), str(content["revision"]), files)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{path}, the record of what was pulled, is damaged; remove the model and pull it.") from error


def write_record(record: PullRecord, folder: Path) -> None:
    """Write the record whole or not at all."""
    content = {
        "schema_version": _SCHEMA_VERSION,
        "hub_id": record.hub_id,
        "revision": record.revision,
        "sha256": dict(sorted(record.sha256.items())),
    }
    unfinished = folder / f".{RECORD_NAME}.unfinished"
    unfinished.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    os.replace(unfinished, folder / RECORD_NAME)
