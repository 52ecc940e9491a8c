"""What `cloak gallery` promises, measured on pictures made for it: surviving kills, throughput, workers, memory.

Each part runs the command itself in processes of its own, as a person would.
"""

import argparse
import hashlib
import io
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from PIL import Image, ImageDraw
from pydantic import Field, ValidationError
from rich.console import Console

from cloak.certificate import Certificate
from cloak.config import ProtectConfig
from cloak.errors import CloakError
from cloak.image import read_picture
from cloak.protect import Protector
from cloak_eval.benchmarks.batching import measure_batches, measure_pictures
from cloak_eval.benchmarks.results import Provenance, Record, provenance, write_json
from cloak_eval.benchmarks.speed import painted_picture

__all__ = ["GalleryReport", "add_parser", "make_portfolio", "run"]

_SEED = 7
_KINDS = [
    ("png", "RGB"), ("png", "RGBA"), ("png", "L"), ("png", "P"), ("jpg", "RGB"), ("jpg", "L"), ("jpg", "CMYK"),
    ("webp", "RGB"), ("webp", "RGBA"), ("tif", "RGB"), ("bmp", "RGB"),
]  # fmt: skip
_PILLOW = {"jpg": "JPEG", "tif": "TIFF"}
Part = Literal["kills", "throughput", "workers", "memory", "cost", "batch"]


class GalleryReport(Record):
    """The result file of one part."""

    provenance: Provenance
    part: Part
    pictures: int = Field(description="Generated, those of them that are broken included.")
    broken: int
    sides: tuple[int, int] = Field(description="Range of widths and heights, pixels.")
    effort: str
    figures: dict[str, Any]


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the subcommand `gallery`."""
    parser = subparsers.add_parser(
        "gallery", help="kills survived, throughput, workers, memory, cost and batches of galleries"
    )
    parser.add_argument("part", choices=get_args(Part))
    parser.add_argument(
        "--pictures", type=int, nargs="+", help="several only for memory; default 1000, for batch 40 of each size"
    )
    parser.add_argument("--sides", type=int, nargs=2, default=(24, 72), help="least and largest width and height")
    parser.add_argument("--broken", type=float, default=0.05, help="share of broken files")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seconds", type=float, nargs=2, default=(6.0, 20.0), help="from a start to its kill")
    parser.add_argument("--effort", default="fast")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--out", type=Path, help="default: eval/results/gallery-PART.json (with the effort for cost)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Measure one part, write the report and print it; 1 when a promise was broken."""
    parts: dict[str, Callable[[argparse.Namespace, Path], tuple[dict[str, Any], bool]]] = {
        "kills": _kills,
        "throughput": _throughput,
        "workers": _workers,
        "memory": _memory,
        "cost": _cost,
        "batch": _batch,
    }
    options.pictures = options.pictures or [40 if options.part == "batch" else 1000]
    with tempfile.TemporaryDirectory() as folder:
        figures, kept = parts[options.part](options, Path(folder))
    broken = len(broken_numbers(max(options.pictures), options.broken))
    report = GalleryReport(
        provenance=provenance(),
        part=options.part,
        pictures=max(options.pictures),
        broken=broken,
        sides=tuple(options.sides),
        effort=options.effort,
        figures=figures,
    )
    write_json(report, options.out or _default_out(options))
    Console(highlight=False).print_json(json.dumps(figures))
    return 0 if kept else 1


def _default_out(options: argparse.Namespace) -> Path:
    effort = f"-{options.effort}" if options.part == "cost" else ""
    return Path(f"eval/results/gallery-{options.part}{effort}.json")


def broken_numbers(count: int, share: float) -> set[int]:
    """Which of so many pictures are made as broken files."""
    return set(random.Random(_SEED).sample(range(count), round(count * share)))


def make_portfolio(folder: Path, count: int, *, sides: Sequence[int], broken: float) -> None:
    """Mixed formats, modes and sizes in several folders, some of them broken; the same for the same arguments."""
    bad = broken_numbers(count, broken)
    for number in range(count):
        chance = random.Random(f"{_SEED}/{number}")
        extension, mode = _KINDS[number % len(_KINDS)]
        path = (
            folder / f"{number % 7}" / f"{number // 2:05d}.{extension}"
        )  # many share their name but for the extension
        path.parent.mkdir(parents=True, exist_ok=True)
        data = _drawn(chance, sides, extension, mode)
        path.write_bytes(_spoilt(data, chance) if number in bad else data)


def _drawn(chance: random.Random, sides: Sequence[int], extension: str, mode: str) -> bytes:
    width, height = chance.randint(*sides), chance.randint(*sides)
    picture = Image.new("RGB", (width, height), _colour(chance))
    draw = ImageDraw.Draw(picture)
    for _ in range(25):
        x, y, radius = chance.randrange(width), chance.randrange(height), chance.randint(2, max(3, width // 3))
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=_colour(chance))
    grain = Image.effect_noise((width, height), 24)
    picture = Image.blend(picture, Image.merge("RGB", [grain] * 3), 0.15)
    if mode == "RGBA":
        picture.putalpha(Image.linear_gradient("L").resize((width, height)))
    stored = io.BytesIO()
    (picture if mode == "RGBA" else picture.convert(mode)).save(stored, _PILLOW.get(extension, extension.upper()))
    return stored.getvalue()


def _colour(chance: random.Random) -> tuple[int, int, int]:
    return chance.randrange(256), chance.randrange(256), chance.randrange(256)


def _spoilt(data: bytes, chance: random.Random) -> bytes:
    return chance.choice([data[: len(data) // 4], b"", b"GIF89a" + data[6:], chance.randbytes(300)])


def _command(source: Path, destination: Path, options: argparse.Namespace, *more: str) -> list[str]:
    command = [sys.executable, "-m", "cloak.cli", "gallery", str(source), str(destination)]
    return [*command, "--effort", options.effort, "--workers", str(options.workers), *more]


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def _finished(command: Sequence[str]) -> tuple[dict[str, Any], float]:
    """The last event of a gallery that is left alone, and its seconds."""
    began = time.perf_counter()
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, env=_environment(), check=False)
    seconds = time.perf_counter() - began
    if done.returncode not in (0, 3):
        raise CloakError(f"The gallery ended with {done.returncode}: {done.stderr.strip()[-300:]}")
    event: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return event, seconds


def _kills(options: argparse.Namespace, folder: Path) -> tuple[dict[str, Any], bool]:
    """SIGKILL at random moments, started again each time, then left alone: what there is at the end."""
    source, destination = folder / "portfolio", folder / "cloaked"
    make_portfolio(source, options.pictures[0], sides=options.sides, broken=options.broken)
    originals = {path: _sha256(path) for path in source.rglob("*") if path.is_file()}
    chance, kills, alone = random.Random(_SEED), 0, 0
    command = _command(source, destination, options)
    while kills < options.kills:
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        with subprocess.Popen(command, env=_environment(), **quiet) as process:  # type: ignore[call-overload]
            try:
                process.wait(chance.uniform(*options.seconds))
                alone += 1  # it was done before its time; kills at this point hit the check of what is there
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                kills += 1
        if alone > options.kills:
            break
    end, _ = _finished(command)
    return _judged(originals, source, destination, end, kills)


def _judged(
    originals: dict[Path, str], source: Path, destination: Path, end: dict[str, Any], kills: int
) -> tuple[dict[str, Any], bool]:
    """The tally: each original has exactly one valid result or one reason."""
    by_input: dict[str, list[Path]] = {}
    invalid = 0
    for path in destination.rglob("*.json"):
        certificate = _verified(path)
        if certificate is None:
            invalid += 1
        else:
            by_input.setdefault(certificate.input.sha256, []).append(path)
    reasons = {failure["name"]: failure["message"] for failure in end["failures"]}
    names = {path: path.relative_to(source).as_posix() for path in originals}
    expected = {path: digest for path, digest in originals.items() if names[path] not in reasons}
    distinct = len(set(expected.values()))
    figures = {
        "kills": kills,
        "originals": len(originals),
        "valid_results": sum(map(len, by_input.values())),
        "originals_with_a_result": sum(digest in by_input for digest in expected.values()),
        "reasons": len(reasons),
        "without_result_or_reason": sum(digest not in by_input for digest in expected.values()),
        "invalid_results": invalid,
        "results_too_many": sum(map(len, by_input.values())) - len(expected),
        "half_written_files": len(list(destination.rglob("*.part"))),
        "originals_changed": sum(_sha256(path) != digest for path, digest in originals.items()),
        "equal_originals": len(expected) - distinct,
        "kinds_of_reasons": sorted({message.partition(": ")[2] or message for message in reasons.values()})[:12],
    }
    wrong = (
        "without_result_or_reason",
        "invalid_results",
        "results_too_many",
        "half_written_files",
        "originals_changed",
    )
    return figures, not any(figures[name] for name in wrong)


def _verified(certificate_path: Path) -> Certificate | None:
    """The certificate, when the picture beside it is the one that it is about and can be read."""
    try:
        certificate = Certificate.model_validate_json(certificate_path.read_bytes())
        picture = certificate_path.with_name(certificate.output.name)
        read_picture(picture)
    except (ValidationError, OSError, CloakError):
        return None
    return certificate if _sha256(picture) == certificate.output.sha256 else None


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _throughput(options: argparse.Namespace, folder: Path) -> tuple[dict[str, Any], bool]:
    """Seconds for a gallery beside as many calls of `cloak protect`."""
    source, count = folder / "portfolio", options.pictures[0]
    make_portfolio(source, count, sides=options.sides, broken=0.0)
    event, together = _finished(_command(source, folder / "cloaked", options))
    began = time.perf_counter()
    (folder / "single").mkdir()
    for number, path in enumerate(sorted(path for path in source.rglob("*") if path.is_file())):
        output = folder / "single" / f"{number}{path.suffix}"
        command = [
            sys.executable,
            "-m",
            "cloak.cli",
            "protect",
            str(path),
            "-o",
            str(output),
            "--effort",
            options.effort,
        ]
        subprocess.run(command, capture_output=True, env=_environment(), check=False)
    single = time.perf_counter() - began
    figures = {
        "workers": options.workers,
        "done": event["tally"]["done"],
        "gallery_seconds": round(together, 1),
        "single_calls_seconds": round(single, 1),
        "times_faster": round(single / together, 2),
    }
    return figures, single >= 3 * together


def _workers(options: argparse.Namespace, folder: Path) -> tuple[dict[str, Any], bool]:
    """Seconds with one worker on one core, and with two on two."""
    source = folder / "portfolio"
    make_portfolio(source, options.pictures[0], sides=options.sides, broken=0.0)
    seconds = {}
    os.environ["OMP_NUM_THREADS"] = "1"
    for workers in (1, 2):
        options.workers = workers
        event, _ = _finished(_command(source, folder / f"with-{workers}", options))
        seconds[workers] = event["tally"]["seconds"]
    ratio = seconds[1] / seconds[2]
    return {"seconds": {str(count): value for count, value in seconds.items()}, "ratio": round(ratio, 2)}, ratio >= 1.6


def _batch(options: argparse.Namespace, folder: Path) -> tuple[dict[str, Any], bool]:  # noqa: ARG001
    """What small pictures gain from being worked on together: one gradient, and all that a worker does."""
    whole = [measure_pictures(side, options.pictures[0], options.effort) for side in (64, 128)]
    return {"pictures": whole, **measure_batches()}, all(row["same_bytes"] for row in whole)


def _cost(options: argparse.Namespace, folder: Path) -> tuple[dict[str, Any], bool]:  # noqa: ARG001
    """Arithmetic of one picture of a megapixel, and what it takes on one core; the base of every larger sum."""
    from torch.utils.flop_counter import FlopCounterMode

    picture = painted_picture(1224, 816)
    torch.set_num_threads(1)
    protector = Protector(ProtectConfig(effort=options.effort))
    protector(picture.resize((64, 64)))  # models are loaded before the clock starts
    began = time.process_time()
    protector(picture)
    seconds = time.process_time() - began
    with FlopCounterMode(display=False) as counter:
        protector(picture)
    operations = counter.get_total_flops()
    return {
        "megapixels": 1224 * 816 / 1e6,
        "floating_point_operations": operations,
        "core_seconds": round(seconds, 1),
        "operations_per_core_second": round(operations / seconds),
    }, True


def _memory(options: argparse.Namespace, folder: Path) -> tuple[dict[str, Any], bool]:
    """Peak memory of the command and of its worker by the number of pictures."""
    peaks = []
    for count in sorted(options.pictures):
        source = folder / f"portfolio-{count}"
        make_portfolio(source, count, sides=options.sides, broken=options.broken)
        peaks.append({"pictures": count, **_peak(_command(source, folder / f"cloaked-{count}", options))})
    growth = {part: peaks[-1][part] / peaks[0][part] - 1 for part in ("command_bytes", "worker_bytes")}
    figures = {"peaks": peaks, "growth": {part: round(share, 3) for part, share in growth.items()}}
    return figures, all(share < 0.05 for share in growth.values())


def _peak(command: Sequence[str]) -> dict[str, int]:
    """Most resident memory of a process and of the largest of its children, bytes, looked at twice a second."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    command_peak, worker_peak = 0, 0
    with subprocess.Popen(command, env=_environment(), **quiet) as process:  # type: ignore[call-overload]
        while process.poll() is None:
            command_peak = max(command_peak, _high_water(process.pid))
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
            pids = children.read_text().split() if children.exists() else []
            worker_peak = max([worker_peak, *(_high_water(int(pid)) for pid in pids)])
            time.sleep(0.5)
    return {"command_bytes": command_peak, "worker_bytes": worker_peak}


def _high_water(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), 0)
