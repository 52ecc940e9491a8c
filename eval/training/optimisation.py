"""Optimiser, learning-rate schedule and the time-boxed loop that all training here shares."""

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from training.muon import Muon

Report = dict[str, float] | dict[str, Tensor]
"""Losses of a step; tensors are read when they are logged, so that an accelerator is not waited for at every step."""

NARROW = 12  # matrices with a side this small (from a picture, to a latent) are left to AdamW
LOG_EVERY = 25
CHECK_EVERY = 500
SAVE_SECONDS = 300.0


def learning_rate(done: float, *, warm_up: float = 0.01, decay: float = 0.6) -> float:
    """Share of the peak rate: warm-up, a constant part, then linear decay to zero over the last `decay`."""
    return max(0.0, min(1.0, done / warm_up + 0.02, (1 - done) / decay))


class Optimiser:
    """Muon for matrices and convolutions, AdamW at a tenth of the rate for the rest, as one.

    Args:
        models: whose parameters are trained.
        rate: peak learning rate of Muon.
    """

    def __init__(self, models: Iterable[nn.Module], *, rate: float) -> None:
        modules = list(models)
        tables = {id(m.weight) for model in modules for m in model.modules() if isinstance(m, nn.Embedding)}
        parameters = [p for model in modules for p in model.parameters() if p.requires_grad]
        wide = [p for p in parameters if p.ndim in (2, 4) and min(p.shape[:2]) > NARROW and id(p) not in tables]
        chosen = {id(p) for p in wide}
        rest = [p for p in parameters if id(p) not in chosen]
        self.parts = [
            Muon(wide, lr=rate),
            torch.optim.AdamW(rest, lr=rate / 10, betas=(0.9, 0.98), weight_decay=0.0),
        ]
        self.peaks = [rate, rate / 10]

    def step(self, *, done: float) -> None:
        """Update and clear the gradients; `done` is the share of the training that is over."""
        for part, peak in zip(self.parts, self.peaks, strict=True):
            for group in part.param_groups:
                group["lr"] = peak * learning_rate(done)
            part.step()
            part.zero_grad(set_to_none=True)

    def state_dict(self) -> list[dict[str, Any]]:
        return [part.state_dict() for part in self.parts]

    def load_state_dict(self, state: list[dict[str, Any]]) -> None:
        for part, values in zip(self.parts, state, strict=True):
            part.load_state_dict(values)


class Run(Protocol):
    """What `train` drives."""

    models: dict[str, nn.Module]  # in the saved state
    optimiser: Optimiser

    def step(self, *, done: float) -> "Report":
        """One update; returns losses for the log."""

    def export(self, work: Path, numbers: dict[str, float]) -> None:
        """Write the weights as they would be used; `numbers` are the seconds and steps so far."""


def add_training_options(parser: argparse.ArgumentParser, *, minutes: float, rate: float) -> None:
    """The options that all parts share."""
    parser.add_argument("--work", type=Path, required=True, help="state, log and weights go here")
    parser.add_argument(
        "--minutes", type=float, default=minutes, help="processor time (on cuda: time), over all calls together"
    )
    parser.add_argument("--rate", type=float, default=rate, help="peak learning rate of Muon")
    parser.add_argument("--start", type=Path, help="folder of weights that a new run begins with")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])


def clock_for(device: str) -> Callable[[], float]:
    """Seconds of processor time, so that other work on the machine does not shorten a training on the CPU; on an
    accelerator the processor only waits, so seconds of time."""
    return time.process_time if device == "cpu" else time.perf_counter


def sampling_seed(options: argparse.Namespace) -> int:
    """Also seeds torch. A run that goes on from its state draws other pictures than before."""
    torch.manual_seed(options.seed)
    state = options.work / "state.pt"
    return int(options.seed) + (int(state.stat().st_mtime) if state.exists() else 0)


def save_state(path: Path, run: Run, **numbers: float) -> None:
    state = {"models": {name: model.state_dict() for name, model in run.models.items()}}
    temporary = path.with_suffix(".tmp")
    torch.save(state | {"optimiser": run.optimiser.state_dict(), "numbers": numbers}, temporary)
    temporary.rename(path)


def load_state(path: Path, run: Run) -> dict[str, float]:
    saved = torch.load(path, weights_only=True, map_location="cpu")
    for name, model in run.models.items():
        model.load_state_dict(saved["models"][name])
    run.optimiser.load_state_dict(saved["optimiser"])
    return dict(saved["numbers"])


def train(
    run: Run, work: Path, *, minutes: float, device: str = "cpu", check: Callable[[], dict[str, float]] | None = None
) -> None:
    """Steps until the minutes are used up, over all calls together; state and weights are saved every five minutes.

    What a minute is, `clock_for` says; `check` gives figures on held-out data for the log, now and then.
    A finished run given more minutes goes on at the rate that the longer schedule has at that point.
    """
    torch.backends.cudnn.benchmark = device == "cuda"
    work.mkdir(parents=True, exist_ok=True)
    state, limit = work / "state.pt", minutes * 60
    numbers = load_state(state, run) if state.exists() else {"seconds": 0.0, "step": 0}
    seconds, step, clock = numbers["seconds"], int(numbers["step"]), clock_for(device)
    last_save, last_log, sums = seconds, step, defaultdict[str, Any](float)
    with (work / "log.jsonl").open("a") as log:
        while seconds < limit:
            begin = clock()
            for name, value in run.step(done=seconds / limit).items():
                sums[name] += value
            step, seconds = step + 1, seconds + clock() - begin
            if step % LOG_EVERY == 0:
                means = {name: round(float(value) / (step - last_log), 5) for name, value in sums.items()}
                checked = check() if check and step % CHECK_EVERY == 0 else {}
                means |= {name: round(value, 5) for name, value in checked.items()}
                log.write(json.dumps({"step": step, "seconds": round(seconds), **means}) + "\n")
                log.flush()
                sums.clear()
                last_log = step
            if seconds - last_save > SAVE_SECONDS or seconds >= limit:
                numbers = {"seconds": seconds, "step": step}
                save_state(state, run, **numbers)
                run.export(work, numbers)
                last_save = seconds


@torch.no_grad()
def follow(average: nn.Module, model: nn.Module, *, decay: float) -> None:
    """Move an exponential moving average of the weights one step."""
    torch._foreach_lerp_(list(average.parameters()), list(model.parameters()), 1 - decay)


def channels_last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)
