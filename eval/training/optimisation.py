"""Optimiser, learning-rate schedule and the time-boxed loop that all training here shares."""

import argparse
import json
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from training.muon import Muon

NARROW = 12  # matrices with a side this small (from a picture, to a latent) are left to AdamW
LOG_EVERY = 25
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

    def step(self, *, done: float) -> dict[str, float]:
        """One update; returns losses for the log."""

    def export(self, work: Path, numbers: dict[str, float]) -> None:
        """Write the weights as they would be used; `numbers` are the seconds and steps so far."""


def add_training_options(parser: argparse.ArgumentParser, *, minutes: float, rate: float) -> None:
    """The options that all parts share."""
    parser.add_argument("--work", type=Path, required=True, help="state, log and weights go here")
    parser.add_argument("--minutes", type=float, default=minutes, help="processor time, over all calls together")
    parser.add_argument("--rate", type=float, default=rate, help="peak learning rate of Muon")
    parser.add_argument("--start", type=Path, help="folder of weights that a new run begins with")
    parser.add_argument("--seed", type=int, default=0)


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
    saved = torch.load(path, weights_only=True)
    for name, model in run.models.items():
        model.load_state_dict(saved["models"][name])
    run.optimiser.load_state_dict(saved["optimiser"])
    return dict(saved["numbers"])


def train(run: Run, work: Path, *, minutes: float) -> None:
    """Steps until the minutes are used up, over all calls together; state and weights are saved every five minutes.

    Minutes are processor time, so that other work on the machine does not shorten the training.
    A finished run given more minutes goes on at the rate that the longer schedule has at that point.
    """
    work.mkdir(parents=True, exist_ok=True)
    state, limit = work / "state.pt", minutes * 60
    numbers = load_state(state, run) if state.exists() else {"seconds": 0.0, "step": 0}
    seconds, step, sums = numbers["seconds"], int(numbers["step"]), Counter[str]()
    last_save, last_log = seconds, step
    with (work / "log.jsonl").open("a") as log:
        while seconds < limit:
            begin = time.process_time()
            sums.update(run.step(done=seconds / limit))
            step, seconds = step + 1, seconds + time.process_time() - begin
            if step % LOG_EVERY == 0:
                means = {name: round(value / (step - last_log), 5) for name, value in sums.items()}
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
    for slow, fast in zip(average.parameters(), model.parameters(), strict=True):
        slow.lerp_(fast, 1 - decay)


def channels_last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)
