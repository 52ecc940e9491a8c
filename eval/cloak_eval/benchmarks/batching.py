"""Whether the embedded models work faster on several small pictures at once, and whether gradients stay the same."""

import statistics
import time
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from cloak.device import working_dtype
from cloak.surrogates import Surrogate, load_surrogate
from cloak.surrogates.embedded import EMBEDDED_NAMES

__all__ = ["measure_batches"]

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
        "rows", and "most_gained": the largest share of the processor's time that any batch saves.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        models = [load_surrogate(name).to("cpu", working_dtype(torch.device("cpu"))) for name in EMBEDDED_NAMES]
        rows = [{"side": side, **row} for side in sides for row in _of_one_size(models, side, counts)]
    finally:
        torch.set_num_threads(threads)
    gained = [1 - row["processor_time_of_one"] for row in rows]
    return {"dtype": str(models[0].dtype), "rows": rows, "most_gained": round(max(gained), 3)}


def _of_one_size(models: Sequence[Surrogate], side: int, counts: Sequence[int]) -> Iterator[dict[str, Any]]:
    """All batches in turn, again and again, so that other work on the machine meets them alike."""
    counts = [count for count in counts if count * side * side <= _MOST_PIXELS or count == 1]
    pictures = torch.rand(max(counts), 3, side, side, generator=torch.Generator().manual_seed(_SEED))
    single = torch.cat([_gradient(models, picture[None]) for picture in pictures])
    same = {count: torch.equal(_gradient(models, pictures[:count]), single[:count]) for count in counts}
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
