"""Seconds and memory of a protection run, by picture size and effort.

Each picture is drawn, and each run made, in a process of its own: the system counts peak memory per process, and a
child's count starts at what its parent held, so the parent stays small.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast, get_args

import numpy as np
from PIL import Image, ImageDraw
from pydantic import Field, ValidationError
from rich.console import Console
from rich.table import Table

from cloak.certificate import Certificate
from cloak.config import ProtectConfig
from cloak.device import resolve_device, working_dtype
from cloak.protect import Protector
from cloak.types import Device, Effort
from cloak_eval.benchmarks.results import Provenance, Record, provenance, write_json

__all__ = ["Measurement", "SpeedReport", "add_parser", "painted_picture", "run"]

_MEGAPIXELS = (1.0, 2.0, 4.0, 8.0, 16.0, 24.0)
_EFFORTS: tuple[Effort, ...] = ("instant", "fast", "standard")
_ASPECT = 3 / 2
_SEED = 7
_PAINT = "import sys; from cloak_eval.benchmarks import speed; speed.paint_file(*sys.argv[1:])"
_PROTECT = "import sys; from cloak_eval.benchmarks import speed; speed.protect_file(*sys.argv[1:])"


class Measurement(Record):
    """One run in a process of its own; figures are null when it failed."""

    effort: Effort
    width: int
    height: int
    megapixels: float
    seconds: float | None = Field(description="Of the run, models loaded within it, as in the certificate.")
    seconds_per_megapixel: float | None
    process_seconds: float = Field(description="Of the whole process, Python and its imports included.")
    peak_memory_bytes: int | None
    steps: int | None
    models: list[str]
    error: str | None = Field(description="Last line that a failed process said, or how it ended.")


class SpeedReport(Record):
    """The result file."""

    provenance: Provenance
    picture: str
    precision: str | None = Field(default=None, description="What models computed in; null in older files.")
    rows: list[Measurement]


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the subcommand `speed`."""
    parser = subparsers.add_parser("speed", help="seconds and peak memory by picture size and effort")
    parser.add_argument("--megapixels", type=float, nargs="+", default=_MEGAPIXELS, metavar="MP")
    parser.add_argument("--efforts", nargs="+", default=_EFFORTS, choices=get_args(Effort), metavar="EFFORT")
    parser.add_argument("--models", nargs="+", default=("auto",), metavar="MODEL")
    parser.add_argument("--device", default="auto", choices=get_args(Device))
    parser.add_argument("--out", type=Path, default=Path("eval/results/speed.json"), metavar="FILE")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Measure every size with every effort, write the report and show it; 1 when a run failed."""
    device = resolve_device(options.device)
    rows = list(measurements(options.megapixels, options.efforts, models=options.models, device=options.device))
    about = f"painted from seed {_SEED}, 3:2, 8-bit RGB PNG"
    precision = str(working_dtype(device)).removeprefix("torch.")
    write_json(SpeedReport(provenance=provenance(device), picture=about, precision=precision, rows=rows), options.out)
    Console(highlight=False).print(_table(rows))
    return int(any(row.error is not None for row in rows))


def measurements(
    megapixels: Sequence[float], efforts: Sequence[Effort], *, models: Sequence[str], device: Device
) -> Iterator[Measurement]:
    """One measurement for each size and effort, smallest picture first."""
    with tempfile.TemporaryDirectory() as folder:
        for size in sorted(megapixels):
            path = Path(folder) / f"{size:g}.png"
            _call(_PAINT, str(path), str(size)).check_returncode()
            for effort in efforts:
                config = ProtectConfig(effort=effort, models=tuple(models), device=device)
                yield _measure(path, config)
            path.unlink()


def painted_picture(width: int, height: int, *, seed: int = _SEED) -> Image.Image:
    """A picture with soft colour fields, brush strokes and grain, the same for the same arguments.

    Args:
        width: pixels.
        height: pixels.
        seed: of the shapes and colours.
    """
    random = np.random.default_rng(seed)
    canvas = Image.new("RGB", (width, height), (128, 128, 128))
    for cells in (3, 7, 17, 43):
        noise = random.integers(0, 256, (cells, cells, 3), dtype=np.uint8)
        layer = Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)
        canvas = Image.blend(canvas, layer, 0.35)
    _brush(canvas, random)
    grain = random.integers(-6, 7, (height, width, 1), dtype=np.int16)
    return Image.fromarray((np.asarray(canvas) + grain).clip(0, 255).astype(np.uint8))


def _brush(canvas: Image.Image, random: np.random.Generator, strokes: int = 1500) -> None:
    """Short strokes in the colours that they cover, a little shifted."""
    draw, (width, height) = ImageDraw.Draw(canvas), canvas.size
    unit = max(1.0, (width * height) ** 0.5 / 100)
    for _ in range(strokes):
        x, y = int(random.integers(width)), int(random.integers(height))
        angle, length = random.uniform(0, np.pi), unit * random.uniform(1, 6)
        under = cast("tuple[int, int, int]", canvas.getpixel((x, y)))
        colour = tuple(int(np.clip(value + random.integers(-40, 41), 0, 255)) for value in under)
        end = (x + length * float(np.cos(angle)), y + length * float(np.sin(angle)))
        draw.line([(x, y), end], fill=colour, width=max(1, round(unit * random.uniform(0.2, 0.9))))


def paint_file(path: str, megapixels: str) -> None:
    """Draw a picture of that many million pixels; runs in a child process."""
    height = max(8, round((float(megapixels) * 1e6 / _ASPECT) ** 0.5))
    painted_picture(round(height * _ASPECT), height).save(path, compress_level=1)


def protect_file(path: str, config: str) -> None:
    """Protect a picture, keep nothing and write the certificate to stdout; runs in a child process."""
    result = Protector(ProtectConfig.model_validate_json(config))(Path(path).read_bytes())
    sys.stdout.write(result.certificate.model_dump_json())


def _call(code: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def _measure(path: Path, config: ProtectConfig) -> Measurement:
    with Image.open(path) as picture:
        width, height = picture.size
    begin = time.perf_counter()
    done = _call(_PROTECT, str(path), config.model_dump_json())
    elapsed = time.perf_counter() - begin
    certificate = _certificate(done)
    seconds = None if certificate is None else certificate.seconds
    return Measurement(
        effort=config.effort,
        width=width,
        height=height,
        megapixels=width * height / 1e6,
        seconds=seconds,
        seconds_per_megapixel=None if seconds is None else round(seconds / (width * height / 1e6), 3),
        process_seconds=round(elapsed, 2),
        peak_memory_bytes=None if certificate is None else certificate.peak_memory_bytes,
        steps=None if certificate is None else certificate.steps,
        models=[] if certificate is None else [model.name for model in certificate.models],
        error=None if certificate is not None else _last_line(done),
    )


def _certificate(done: "subprocess.CompletedProcess[str]") -> Certificate | None:
    try:
        return Certificate.model_validate_json(done.stdout) if done.returncode == 0 else None
    except ValidationError:
        return None


def _last_line(done: "subprocess.CompletedProcess[str]") -> str:
    lines = done.stderr.strip().splitlines()
    return lines[-1] if lines and done.returncode > 0 else f"ended with exit code {done.returncode}"


def _table(rows: Sequence[Measurement]) -> Table:
    table = Table("effort", "pixels", "megapixels", "seconds", "s / megapixel", "peak memory", box=None)
    for row in rows:
        figures = [row.error or "", "", ""]
        if row.seconds is not None:
            memory = "-" if row.peak_memory_bytes is None else f"{row.peak_memory_bytes / 1e9:.2f} GB"
            figures = [f"{row.seconds:.1f}", f"{row.seconds_per_megapixel:.1f}", memory]
        table.add_row(row.effort, f"{row.width} x {row.height}", f"{row.megapixels:.2f}", *figures)
    return table
