"""Where a protected picture and its certificate go."""

from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TypeVar

from cloak.errors import OutputError
from cloak.types import FormatChoice

__all__ = ["Destination", "certificate_path", "plan_output"]

AnyPath = TypeVar("AnyPath", bound=PurePath)
_EXTENSIONS = {"png": ".png", "jpeg": ".jpg", "webp": ".webp", "tiff": ".tif", "avif": ".avif", "bmp": ".bmp"}


def plan_output(source: Path, output: Path | None, format: FormatChoice) -> Path:  # noqa: A002
    """Where the protected picture goes: `a.cloaked.png` beside `a.png`, or as `output` (a file or a folder) says."""
    suffix = source.suffix if format == "keep" else _EXTENSIONS[format]
    name = f"{source.stem}.cloaked{suffix}"
    if output is None:
        return source.with_name(name)
    return output / name if output.is_dir() else output


def certificate_path(picture: AnyPath) -> AnyPath:
    """Where the certificate of a protected picture lies: beside it, with the ending .json."""
    return picture.with_suffix(".json")


@dataclass(frozen=True)
class Destination:
    """A file for the picture, and one beside it for the certificate.

    Args:
        path: of the picture.
        overwrite: whether files that are there may be replaced.
    """

    path: Path
    overwrite: bool = False

    @property
    def certificate(self) -> Path:
        """Where the certificate goes."""
        return certificate_path(self.path)

    def check(self, source: Path | None) -> None:
        """Refuse before any computing what could not be written after it.

        Raises:
            OutputError: the folder is missing, something is there already, or it is the `source` itself.
        """
        if not self.path.parent.is_dir():
            raise OutputError(f"The folder {self.path.parent} does not exist; create it or choose another one.")
        present = [path for path in (self.path, self.certificate) if path.exists()]
        if source is not None and source.exists() and any(path.samefile(source) for path in present):
            raise OutputError(f"{self.path} is the input itself, which is never changed; choose another name.")
        if present and not self.overwrite:
            raise OutputError(
                f"{present[0]} exists already; choose another name or allow overwriting with --overwrite."
            )

    def write(self, data: bytes, certificate: str) -> None:
        """The picture first, then its certificate, each whole or not at all."""
        from cloak.image import write_file  # brings torch, which the command line does without until it computes

        write_file(data, self.path, overwrite=self.overwrite)
        write_file(certificate.encode(), self.certificate, overwrite=True)
