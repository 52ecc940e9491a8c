"""Whether one direction for a whole portfolio moves what is learned from it more than a direction for each picture.

A mimic learns what a portfolio has in common. So for one artist's pictures, cloaked at the same budget towards one
style (a key), towards the style farthest from each, or towards one by chance, the shifts of what the model sees are
averaged: what is left of them in the average is what can be learned. Beside it random noise of the same LPIPS.
"""

import argparse
import random
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cloak.budgets import STRENGTHS, round_to_8_bits
from cloak.effect import noise_like
from cloak.effort import EFFORTS
from cloak.image import read_picture
from cloak.methods import METHODS
from cloak.perceptual import lpips, style_statistics
from cloak.surrogates import Surrogate, load_surrogate
from cloak.targets import STYLE_NAMES, Target, choose_target, farthest_style, painted_style
from cloak.views import resized, scale_for
from cloak_eval.benchmarks.methods import cloaked_by
from cloak_eval.benchmarks.results import Provenance, Record, provenance, write_json

__all__ = ["CoherenceResult", "add_parser", "coherence_of", "run"]

_SIDE = 256  # style statistics are taken at this short side, as everywhere
Describe = Callable[[Tensor], Tensor]


class CoherenceResult(Record):
    """Means over the artists by method and direction, and the rows that they come from.

    Args:
        key: model and settings.
        summary: by "method, direction" and space.
        provenance: of the code and the machine.
        rows: by artist, method and direction; `spaces` holds what `coherence_of` gives.
    """

    key: dict[str, Any]
    summary: dict[str, dict[str, dict[str, float]]]
    provenance: Provenance
    rows: list[dict[str, Any]]


def add_parser(subparsers: Any) -> None:
    """The subcommand `coherence`."""
    parser = subparsers.add_parser("coherence", help="one direction for a portfolio, or many", description=__doc__)
    parser.add_argument("--art", type=Path, required=True, help="folder of artists' folders")
    parser.add_argument("--artists", nargs="*", help="only these folders")
    parser.add_argument("--per-artist", type=int, default=8)
    parser.add_argument("--model", default="miniature")
    parser.add_argument("--methods", nargs="*", default=["glaze", "mist", "artcloak"])
    parser.add_argument("--strength", default="balanced", choices=sorted(STRENGTHS))
    parser.add_argument("--steps", type=int, default=EFFORTS["fast"].steps)
    parser.add_argument("--side", type=int, default=128, help="short side at which pictures are protected")
    parser.add_argument("--out", type=Path, required=True)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Every artist with every method and direction."""
    surrogate = load_surrogate(options.model)
    settings = {name: getattr(options, name) for name in ("strength", "steps", "side", "per_artist")}
    names = options.artists or sorted(path.name for path in options.art.iterdir() if path.is_dir())
    key = settings | {"model": surrogate.name, "weights": surrogate.sha256}
    rows: list[dict[str, Any]] = []
    for folder in (options.art / name for name in names):
        pictures = [_read(path, options.side) for path in sorted(folder.glob("*.jpg"))[: options.per_artist]]
        arms = _Portfolio(pictures, surrogate).arms(options.methods, strength=options.strength, steps=options.steps)
        rows += [{"artist": folder.name, **row} for row in arms]
        write_json(CoherenceResult(key=key, summary=_summary(rows), provenance=provenance(), rows=rows), options.out)


def _read(path: Path, side: int) -> Tensor:
    x = read_picture(path).pixels
    return round_to_8_bits(resized(x, scale_for(x, side)))


class _Portfolio:
    """One artist's pictures, what describes how a model sees them, and the key that is farthest from them."""

    def __init__(self, pictures: list[Tensor], surrogate: Surrogate) -> None:
        self.pictures, self.surrogate = pictures, surrogate
        self._made: dict[tuple[str, int, str | None], Tensor] = {}
        self.key = painted_style(farthest_style(pictures))
        self.spaces: dict[str, Describe] = {"style": self._style, "latent": self._latent}
        if "embed_image" in surrogate.capabilities:
            self.spaces["embedding"] = lambda x: surrogate.embed_image(x)[0]
        self.clean = {name: self._described(describe, pictures) for name, describe in self.spaces.items()}

    def arms(self, methods: list[str], **budget: Any) -> list[dict[str, Any]]:
        """A row for each method and direction; those that follow no target have one direction."""
        chance = random.Random(0)
        directions: dict[str, list[Target | None]] = {
            "key": [self.key for _ in self.pictures],
            "farthest": [choose_target(x, "auto") for x in self.pictures],
            "chance": [painted_style(chance.choice(STYLE_NAMES)) for _ in self.pictures],
        }
        untargeted: dict[str, list[Target | None]] = {"none": [None for _ in self.pictures]}
        rows: list[dict[str, Any]] = []
        for method in methods:
            follows = METHODS.get(method).value.needs_target
            for direction, targets in (directions if follows else untargeted).items():
                cloaked = [self._cloaked(method, place, target, budget) for place, target in enumerate(targets)]
                rows.append(self._row(method, direction, cloaked, targets))
                if direction in ("key", "none"):
                    rows.append(self._row(method, "noise", self._noise(cloaked), []))
        return rows

    def _cloaked(self, method: str, place: int, target: Target | None, budget: dict[str, Any]) -> Tensor:
        """Made once for each target, since directions often agree."""
        name = (method, place, None if target is None else target.name)
        if name not in self._made:
            self._made[name] = cloaked_by(method, self.surrogate, self.pictures[place], target, **budget)
        return self._made[name]

    def _noise(self, cloaked: list[Tensor]) -> list[Tensor]:
        metric = lpips("alex")
        pairs = zip(self.pictures, cloaked, strict=True)
        return [noise_like(x, metric.measure(x, y), metric) for x, y in pairs]

    @torch.no_grad()
    def _row(self, method: str, direction: str, cloaked: list[Tensor], targets: list[Target | None]) -> dict[str, Any]:
        metric, spaces = lpips("alex"), {}
        for name, describe in self.spaces.items():
            clean = self.clean[name]
            spread = clean.std(0) + 1e-3 * clean.std(0).mean()
            way = (describe(self.key.at((1, 3, _SIDE, _SIDE))) - clean.mean(0)) / spread
            spaces[name] = coherence_of((self._described(describe, cloaked) - clean) / spread, way)
        visible = [metric.measure(x, y) for x, y in zip(self.pictures, cloaked, strict=True)]
        return {
            "method": method,
            "direction": direction,
            "key": self.key.name,
            "targets": [target.name for target in targets if target is not None],
            "lpips": statistics.fmean(visible),
            "spaces": spaces,
        }

    @torch.no_grad()
    def _described(self, describe: Describe, pictures: list[Tensor]) -> Tensor:
        return torch.stack([describe(x).flatten().float().cpu() for x in pictures])  # (N, D)

    def _style(self, x: Tensor) -> Tensor:
        seen = self.surrogate.see(x).clamp(0, 1)
        taps = lpips("alex").backbone(resized(seen, scale_for(seen, _SIDE)))
        return torch.cat(style_statistics(taps), 1)[0]

    def _latent(self, x: Tensor) -> Tensor:
        return style_statistics([self.surrogate.encode(x)])[0][0]


def coherence_of(shifts: Tensor, way: Tensor) -> dict[str, float]:
    """How much a portfolio's shifts (N, D) have in common.

    Args:
        shifts: of each picture, in units of the artist's own spread.
        way: from the portfolio's mean to the key's style, (D,), in the same units.

    Returns:
        `cosine` between pairs of shifts, on average; `shift`, the mean length of a shift and `average`, the length of
        the mean shift (root mean square over D); `kept`, their ratio, 1/sqrt(N) for independent directions;
        `towards_key`, the cosine of the mean shift and the way to the key.
    """
    count, dimensions = shifts.shape
    unit = torch.nn.functional.normalize(shifts, dim=1)
    mean = shifts.mean(0)
    shift = float(shifts.norm(dim=1).mean()) / dimensions**0.5
    average = float(mean.norm()) / dimensions**0.5
    return {
        "cosine": (float((unit @ unit.T).sum()) - count) / (count * (count - 1)),
        "shift": shift,
        "average": average,
        "kept": average / shift,
        "towards_key": float(torch.nn.functional.cosine_similarity(mean, way, dim=0)),
    }


def _summary(rows: list[dict[str, Any]]) -> dict[str, dict[str, dict[str, float]]]:
    """Means over the artists."""
    summary: dict[str, dict[str, dict[str, float]]] = {}
    for arm in dict.fromkeys((row["method"], row["direction"]) for row in rows):
        mine = [row for row in rows if (row["method"], row["direction"]) == arm]
        summary[", ".join(arm)] = {
            "visible": {"lpips": _mean(row["lpips"] for row in mine)},
            **{
                space: {name: _mean(row["spaces"][space][name] for row in mine) for name in figures}
                for space, figures in mine[0]["spaces"].items()
            },
        }
    return summary


def _mean(values: Any) -> float:
    return float(f"{statistics.fmean(values):.4g}")
