"""Whether one direction for a whole portfolio moves what is learned from it more than a direction for each picture.

A mimic learns what a portfolio has in common. So one artist's pictures are cloaked at the same budget, all towards one
style or in turn towards several, the shifts of what the model sees are averaged, and what is left in the average is
what can be learned. Styles differ in how far they move anything, so each is the common one once and has an equal share
in every mixture. Beside it random noise of the same LPIPS.
"""

import argparse
import statistics
from collections.abc import Callable, Sequence
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
from cloak.targets import STYLE_NAMES, Target, choose_target, painted_style
from cloak.views import resized, scale_for
from cloak_eval.benchmarks.methods import cloaked_by
from cloak_eval.benchmarks.results import Provenance, Record, provenance, write_json

__all__ = ["CoherenceResult", "add_parser", "coherence_of", "run"]

_SIDE = 256  # style statistics are taken at this short side, as everywhere
Describe = Callable[[Tensor], Tensor]


class CoherenceResult(Record):
    """Means over the rows by method and direction, and the rows that they come from.

    Args:
        key: model and settings.
        summary: by "method, direction" and space.
        provenance: of the code and the machine.
        rows: by artist, method and direction; `spaces` holds what `coherence_of` gives.
        auto: by artist, the styles that would be chosen for its pictures one by one, without a key.
    """

    key: dict[str, Any]
    summary: dict[str, dict[str, dict[str, float]]]
    provenance: Provenance
    rows: list[dict[str, Any]]
    auto: dict[str, list[str]]


def add_parser(subparsers: Any) -> None:
    """The subcommand `coherence`."""
    parser = subparsers.add_parser("coherence", help="one direction for a portfolio, or many", description=__doc__)
    parser.add_argument("--art", type=Path, required=True, help="folder of artists' folders")
    parser.add_argument("--artists", nargs="*", help="only these folders")
    parser.add_argument("--per-artist", type=int, default=8)
    parser.add_argument("--model", default="miniature")
    parser.add_argument("--methods", nargs="*", default=["glaze", "artcloak"])
    parser.add_argument("--styles", nargs="*", default=STYLE_NAMES[::2])
    parser.add_argument("--strength", default="balanced", choices=sorted(STRENGTHS))
    parser.add_argument("--steps", type=int, default=EFFORTS["fast"].steps)
    parser.add_argument("--side", type=int, default=128, help="short side at which pictures are protected")
    parser.add_argument("--out", type=Path, required=True)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Every artist with every method and direction."""
    surrogate = load_surrogate(options.model)
    settings = {name: getattr(options, name) for name in ("strength", "steps", "side", "per_artist", "styles")}
    names = options.artists or sorted(path.name for path in options.art.iterdir() if path.is_dir())
    key = settings | {"model": surrogate.name, "weights": surrogate.sha256}
    rows: list[dict[str, Any]] = []
    auto: dict[str, list[str]] = {}
    for folder in (options.art / name for name in names):
        pictures = [_read(path, options.side) for path in sorted(folder.glob("*.jpg"))[: options.per_artist]]
        auto[folder.name] = [choose_target(x, "auto").name for x in pictures]
        portfolio = _Portfolio(pictures, surrogate, [painted_style(name) for name in options.styles])
        arms = portfolio.arms(options.methods, strength=options.strength, steps=options.steps)
        rows += [{"artist": folder.name, **row} for row in arms]
        record = CoherenceResult(key=key, summary=_summary(rows), provenance=provenance(), rows=rows, auto=auto)
        write_json(record, options.out)


def _read(path: Path, side: int) -> Tensor:
    x = read_picture(path).pixels
    return round_to_8_bits(resized(x, scale_for(x, side)))


class _Portfolio:
    """One artist's pictures, and what describes how a model sees them."""

    def __init__(self, pictures: list[Tensor], surrogate: Surrogate, styles: list[Target]) -> None:
        self.pictures, self.surrogate, self.styles = pictures, surrogate, styles
        self._made: dict[tuple[str, int, str | None], Tensor] = {}
        self.spaces: dict[str, Describe] = {"style": self._style, "latent": self._latent}
        if "embed_image" in surrogate.capabilities:
            self.spaces["embedding"] = lambda x: surrogate.embed_image(x)[0]
        self.clean = {name: self._described(describe, pictures) for name, describe in self.spaces.items()}

    def arms(self, methods: list[str], **budget: Any) -> list[dict[str, Any]]:
        """A row for each method and choice of targets; methods that follow no target have one."""
        count = range(len(self.pictures))
        mixtures = [[self.styles[(i + turn) % len(self.styles)] for i in count] for turn in range(len(self.styles))]
        chosen: list[tuple[str, Sequence[Target | None]]] = [("one", [style for _ in count]) for style in self.styles]
        chosen += [("mixed", mixture) for mixture in mixtures]
        untargeted: list[tuple[str, Sequence[Target | None]]] = [("none", [None for _ in count])]
        rows: list[dict[str, Any]] = []
        for method in methods:
            for direction, targets in chosen if METHODS.get(method).value.needs_target else untargeted:
                cloaked = [self._cloaked(method, place, target, budget) for place, target in enumerate(targets)]
                rows.append(self._row(method, direction, cloaked, targets))
                if direction != "mixed":
                    rows.append(self._row(method, "noise", self._noise(cloaked), []))
        return rows

    def _cloaked(self, method: str, place: int, target: Target | None, budget: dict[str, Any]) -> Tensor:
        """Made once for each target, since directions often agree."""
        name = (method, place, None if target is None else target.name)
        if name not in self._made:
            self._made[name] = cloaked_by(method, self.surrogate, self.pictures[place], target, **budget)
        return self._made[name]

    def _noise(self, cloaked: list[Tensor]) -> list[Tensor]:
        distances = (lpips("alex").from_original(x) for x in self.pictures)
        rows = zip(self.pictures, cloaked, distances, strict=True)
        return [noise_like(x, distance(y), distance) for x, y, distance in rows]

    @torch.no_grad()
    def _row(
        self, method: str, direction: str, cloaked: list[Tensor], targets: Sequence[Target | None]
    ) -> dict[str, Any]:
        metric, spaces = lpips("alex"), {}
        for name, describe in self.spaces.items():
            clean = self.clean[name]
            spread = clean.std(0) + 1e-3 * clean.std(0).mean()
            spaces[name] = coherence_of((self._described(describe, cloaked) - clean) / spread)
        visible = [metric.measure(x, y) for x, y in zip(self.pictures, cloaked, strict=True)]
        return {
            "method": method,
            "direction": direction,
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


def coherence_of(shifts: Tensor) -> dict[str, float]:
    """How much a portfolio's shifts (N, D) have in common.

    Args:
        shifts: of each picture, in units of the artist's own spread.

    Returns:
        `cosine` between pairs of shifts, on average; `shift`, the mean length of a shift and `average`, the length of
        the mean shift (root mean square over D); `kept`, their ratio, 1/sqrt(N) for independent directions.
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
    }


def _summary(rows: list[dict[str, Any]]) -> dict[str, dict[str, dict[str, float]]]:
    """Means over artists and styles."""
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
