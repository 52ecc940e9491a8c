"""What a picture file carries besides its pixels."""

import json
from pathlib import Path
from typing import Any

from cloak.cli import engine
from cloak.destination import certificate_path

__all__ = ["carried_by"]


def carried_by(path: Path) -> dict[str, Any]:
    """Format, size, metadata, notice and certificate of a picture file, as JSON types.

    Raises:
        InputError: when it is not a picture that can be read.
    """
    document = engine.open_picture(path)
    metadata = document.metadata
    width, height = document.size
    return {
        "file": str(path),
        "bytes": path.stat().st_size,
        "sha256": document.sha256,
        "format": document.format,
        "width": width,
        "height": height,
        "mode": document.mode,
        "bit_depth": document.bit_depth,
        "alpha": document.raster.alpha is not None,
        "icc": metadata.icc is not None,
        "exif": bool(metadata.exif),
        "gps": bool(metadata.exif.gps),
        "xmp": metadata.xmp is not None,
        "notice": engine.read_notice(path),
        "credentials": engine.read_credentials(path) if document.manifest else None,
        "certificate": _certificate(path, document.sha256),
    }


def _certificate(path: Path, digest: str) -> dict[str, Any] | None:
    """The certificate beside the picture, None when there is none; `matches` tells whether it is about these bytes."""
    beside = certificate_path(path)
    if not beside.is_file():
        return None
    try:
        content = json.loads(beside.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        content = None
    verdict = content.get("verdict") if isinstance(content, dict) else None
    return {"file": str(beside), "matches": _output_sha256(content) == digest, "verdict": verdict}


def _output_sha256(content: Any) -> str | None:
    output = content.get("output") if isinstance(content, dict) else None
    return output.get("sha256") if isinstance(output, dict) else None
