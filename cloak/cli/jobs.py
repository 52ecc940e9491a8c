"""From the arguments of `protect` to a list of jobs; every clash is found and named before any work starts."""

import glob
import os
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path

from PIL import Image

from cloak.cli import engine
from cloak.cli.streams import STANDARD_STREAM, display_name, read_stdin
from cloak.config import ProtectConfig
from cloak.destination import certificate_path
from cloak.errors import CloakError, InputError, OutputError, UsageError
from cloak.types import FormatChoice

__all__ = ["Destination", "Job", "plan_jobs"]

_FORMATS: dict[str, FormatChoice] = {
    ".png": "png",
    ".jpg": "jpeg",
    ".jpeg": "jpeg",
    ".webp": "webp",
    ".tif": "tiff",
    ".tiff": "tiff",
}
_TURNED_ORIENTATIONS = frozenset({5, 6, 7, 8})  # EXIF values that exchange width and height


@dataclass(frozen=True, slots=True)
class Job:
    """One picture to protect.

    Args:
        name: the input as the person wrote it.
        source: the input's path, or its bytes when they were piped in or the result goes to standard output.
        output: where the result is written, None for standard output.
        size: width and height as displayed, pixels; None when the header could not be read.
        problem: why this input cannot be done, None when it can be tried.
    """

    name: str
    source: Path | bytes
    output: Path | None
    size: tuple[int, int] | None = None
    problem: CloakError | None = None

    @property
    def megapixels(self) -> float:
        """Size of the picture, 0 when it is not known."""
        return self.size[0] * self.size[1] / 1e6 if self.size else 0.0


@dataclass(frozen=True, slots=True)
class Destination:
    """What `-o` means.

    Args:
        folder: outputs go here under their default names, None for beside each input.
        file: the one output, None when there is a folder or nothing was given.
        stdout: the one output goes to standard output.
    """

    folder: Path | None = None
    file: Path | None = None
    stdout: bool = False


def plan_jobs(
    inputs: Sequence[str], output: str | None, *, settings: ProtectConfig, overwrite: bool
) -> tuple[list[Job], ProtectConfig]:
    """The jobs in the order given, and the settings with the output's format filled in.

    Raises:
        UsageError: when the arguments contradict each other as a whole.
    """
    names = _expand(inputs)
    destination = _destination(names, output)
    settings = _with_format(settings, destination.file, names)
    jobs = [_job(name, destination, settings) for name in names]
    return _refuse_clashes([_refuse_existing(job, overwrite) for job in jobs]), settings


def _expand(inputs: Sequence[str]) -> list[str]:
    """Patterns that the shell left alone (Windows) become the files they match."""
    names: list[str] = []
    for name in inputs:
        is_pattern = name != STANDARD_STREAM and glob.has_magic(name) and not os.path.lexists(name)
        names += (sorted(glob.glob(name)) or [name]) if is_pattern else [name]
    if not names:
        raise UsageError("Give at least one picture, for example `cloak protect painting.png`.")
    return names


def _destination(names: Sequence[str], output: str | None) -> Destination:
    several = len(names) > 1
    piped = STANDARD_STREAM in names
    if output == STANDARD_STREAM or (piped and output is None):
        if several:
            raise UsageError(f"Only one picture can go to standard output, got {len(names)} inputs; give -o FOLDER.")
        return Destination(stdout=True)
    if output is None:
        return Destination()
    path = Path(output)
    looks_like_file = path.is_file() or (path.suffix.lower() in _FORMATS and not path.is_dir())
    if several and looks_like_file:
        raise UsageError(f"-o {output} names one file, but there are {len(names)} inputs; give a folder.")
    if several or path.is_dir() or output.endswith(("/", os.sep)) or not path.suffix:
        if piped:
            raise UsageError("A picture from standard input has no name; give -o FILE instead of a folder.")
        return Destination(folder=path)
    return Destination(file=path)


def _with_format(settings: ProtectConfig, file: Path | None, names: Sequence[str]) -> ProtectConfig:
    """`-o a.jpg` asks for JPEG."""
    asked = _FORMATS.get(file.suffix.lower()) if file else None
    if asked is None or asked == settings.format:
        return settings
    if settings.format != "keep":
        raise UsageError(f"-o {file} and --format {settings.format} contradict each other; change one of them.")
    if asked == _FORMATS.get(Path(names[0]).suffix.lower()):
        return settings
    return settings.model_copy(update={"format": asked})


def _job(name: str, destination: Destination, settings: ProtectConfig) -> Job:
    shown = display_name(name)
    output = destination.file
    try:
        path = None if name == STANDARD_STREAM else Path(name)
        if path is not None:
            _check_file(path)
        source = read_stdin() if path is None else path.read_bytes() if destination.stdout else path
        if path is not None and output is None and not destination.stdout:
            planned = engine.plan_output(path, None, settings.format)
            output = destination.folder / planned.name if destination.folder else planned
    except CloakError as problem:
        return Job(shown, b"" if name == STANDARD_STREAM else Path(name), output, problem=problem)
    return Job(shown, source, output, size=_picture_size(source))


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise InputError(f"{path} is a folder; give the pictures in it, for example {path / '*.png'}.")
    if not path.exists():
        raise InputError(f"There is no file {path}.")
    if not path.is_file():
        raise InputError(f"{path} is not an ordinary file.")
    if not os.access(path, os.R_OK):
        raise InputError(f"{path} may not be read; check its permissions.")
    if path.stat().st_size == 0:
        raise InputError(f"{path} is empty.")


def _picture_size(source: Path | bytes) -> tuple[int, int] | None:
    """Width and height from the header alone; what is wrong with a file is for the reader to say."""
    try:
        with Image.open(BytesIO(source) if isinstance(source, bytes) else source) as picture:
            width, height = picture.size
            turned = picture.getexif().get(0x0112) in _TURNED_ORIENTATIONS
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        return None
    return (height, width) if turned else (width, height)


def _refuse_existing(job: Job, overwrite: bool) -> Job:
    if job.problem is not None or job.output is None or overwrite:
        return job
    for path in (job.output, certificate_path(job.output)):
        if os.path.lexists(path):
            message = f"{path} exists already; give --overwrite to replace it, or another place with -o."
            return replace(job, problem=OutputError(message))
    return job


def _refuse_clashes(jobs: list[Job]) -> list[Job]:
    """Refuse jobs whose outputs or certificates are one file, and outputs that are an input of this call."""
    inputs = {_key(job.source): job.name for job in jobs if isinstance(job.source, Path)}
    groups: defaultdict[str, list[Job]] = defaultdict(list)
    for job in jobs:
        if job.output is not None and job.problem is None:
            groups[_key(certificate_path(job.output))].append(job)
    return [_refuse_clash(job, inputs, groups) for job in jobs]


def _refuse_clash(job: Job, inputs: dict[str, str], groups: dict[str, list[Job]]) -> Job:
    if job.output is None or job.problem is not None:
        return job
    if (taken := inputs.get(_key(job.output))) is not None:
        whose = "itself" if taken == job.name else f"the input {taken}"
        return replace(job, problem=OutputError(f"{job.name} would be written over {whose}; inputs are never changed."))
    group = groups[_key(certificate_path(job.output))]
    if len(group) > 1:
        others = " and ".join(other.name for other in group if other is not job)
        same = (
            "to the same file"
            if len({_key(other.output) for other in group if other.output}) == 1
            else ("with the same certificate")
        )
        message = f"{job.name} and {others} would be written {same} ({job.output}); give them separate places with -o."
        return replace(job, problem=OutputError(message))
    return job


def _key(path: Path) -> str:
    """Equal for paths that one file system or another takes for the same file: case and Unicode form are ignored."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", os.path.realpath(path)).casefold())
