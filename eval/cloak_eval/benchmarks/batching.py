"""Whether several small pictures are faster at once, in the models alone and in all, and stay the same."""

import contextlib
import io
import statistics
import time
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from cloak.batch import most_together
from cloak.config import ProtectConfig
from cloak.device import working_dtype
from cloak.errors import CloakError
from cloak.gallery import Worker
from cloak.gallery.tasks import Cloaked, Task
from cloak.surrogates import Surrogate, load_surrogate
from cloak.surrogates.embedded import EMBEDDED_NAMES
from cloak.types import Effort
from cloak_eval.benchmarks.speed import painted_picture

__all__ = ["measure_batches", "measure_pictures"]

SIDES = (64, 128, 256, 512)
COUNTS = (1, 2, 4, 8)
_MOST_PIXELS = 2**19  # in one batch; what one gradient keeps for them is about 3 GB
_REPEATS = 5
_SEED = 7


def measure_batches(sides: Sequence[int] = SIDES, counts: Sequence[int] = COUNTS) -> dict[str, Any]:
    """Milliseconds for each picture of one gradient through all embedded models, on one thread, as workers have it.

    Args:
        sides: of square pictures, pixels.
        counts: pictures in a batch; 1 must be among them.

    Returns:
        "rows"; "most_gained": the largest share of the processor's time that any batch saves; "same_bits_in_float32":
        whether two pictures at once have the gradients of each alone there, by side.
    """
    with _one_thread():
        models = [load_surrogate(name).to("cpu", working_dtype(torch.device("cpu"))) for name in EMBEDDED_NAMES]
        dtype = str(models[0].dtype)
        rows = [{"side": side, **row} for side in sides for row in _of_one_size(models, side, counts)]
        wide = [model.to("cpu", torch.float32) for model in models]
        same = {str(side): _is_same(wide, _pictures(2, side)) for side in sides}
    gained = [1 - row["processor_time_of_one"] for row in rows]
    return {"dtype": dtype, "rows": rows, "most_gained": round(max(gained), 3), "same_bits_in_float32": same}


def measure_pictures(side: int, count: int, effort: Effort) -> dict[str, Any]:
    """Seconds of the processor that a worker takes for pictures one by one, and in the groups that galleries make.

    Args:
        side: of square pictures, pixels.
        count: how many; a multiple of what `most_together` says.
        effort: of the settings.

    Raises:
        CloakError: a picture fails.
    """
    together, config = most_together(side, side), ProtectConfig(effort=effort, device="cpu")
    painted = painted_picture(1224, 816)
    tasks = [Task(str(number), _crop(painted, number, side), config) for number in range(count)]
    worker, seconds, same = Worker(), {1: 0.0, together: 0.0}, True
    with _one_thread():
        _carried_out(worker, tasks[:together], together)  # models are loaded, and memory is there
        for start in range(0, count, together):
            group = tasks[start : start + together]
            alone, grouped = (_carried_out(worker, group, size) for size in (1, together))
            seconds[1] += alone[0]
            seconds[together] += grouped[0]
            same = same and alone[1] == grouped[1]
    return {
        "side": side,
        "pictures": count,
        "effort": effort,
        "together": together,
        "alone_seconds": round(seconds[1], 2),
        "together_seconds": round(seconds[together], 2),
        "gained": round(1 - seconds[together] / seconds[1], 3),
        "same_bytes": same,
    }


def _carried_out(worker: Worker, tasks: Sequence[Task], size: int) -> tuple[float, dict[str, bytes]]:
    """Seconds of the processor, and the results."""
    began = time.process_time()
    groups = [tasks[start : start + size] for start in range(0, len(tasks), size)]
    messages = [message for group in groups for message in worker.carry_out(group)]
    seconds = time.process_time() - began
    results = {message.name: message.data for message in messages if isinstance(message, Cloaked)}
    if len(results) < len(tasks):
        raise CloakError(f"Of {len(tasks)} pictures {len(tasks) - len(results)} failed.")
    return seconds, results


def _crop(painted: Image.Image, number: int, side: int) -> bytes:
    """A part of a picture, four times as large as it becomes, as PNG."""
    left, top = 37 * number % (painted.width - 4 * side), 53 * number % (painted.height - 4 * side)
    part = painted.crop((left, top, left + 4 * side, top + 4 * side))
    stored = io.BytesIO()
    part.resize((side, side)).save(stored, "PNG")
    return stored.getvalue()


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _pictures(count: int, side: int) -> Tensor:
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(_SEED))


def _is_same(models: Sequence[Surrogate], pictures: Tensor) -> bool:
    single = torch.cat([_gradient(models, picture[None]) for picture in pictures])
    return torch.equal(_gradient(models, pictures), single)


def _of_one_size(models: Sequence[Surrogate], side: int, counts: Sequence[int]) -> Iterator[dict[str, Any]]:
    """All batches in turn, again and again, so that other work on the machine meets them alike."""
    counts = [count for count in counts if count * side * side <= _MOST_PIXELS or count == 1]
    pictures = _pictures(max(counts), side)
    same = {count: _is_same(models, pictures[:count]) for count in counts}
    clocks: dict[int, list[tuple[float, float]]] = {count: [] for count in counts}
    for _ in range(_REPEATS):
        for count in counts:
            wall, processor = time.perf_counter(), time.process_time()
            _gradient(models, pictures[:count])
            seconds = time.perf_counter() - wall, time.process_time() - processor
            clocks[count].append((1000 * seconds[0] / count, 1000 * seconds[1] / count))
    medians = {count: [statistics.median(clock) for clock in zip(*clocks[count], strict=True)] for count in counts}
    for count, (wall, processor) in medians.items():
        yield {
            "pictures": count,
            "wall_ms": round(wall, 1),
            "processor_ms": round(processor, 1),
            "processor_time_of_one": round(processor / medians[1][1], 3),
            "same_bits_as_one": same[count],
        }


def _gradient(models: Sequence[Surrogate], pictures: Tensor) -> Tensor:
    """Of what the models see, as an attack asks for it; (B, 3, H, W)."""
    x = pictures.clone().requires_grad_()
    seen = [model.decode(z) if "decode" in model.capabilities else z for model in models for z in [model.encode(x)]]
    loss = torch.stack([each.float().square().flatten(1).mean(1) for each in seen]).sum()
    (gradient,) = torch.autograd.grad(loss, x)
    return gradient
