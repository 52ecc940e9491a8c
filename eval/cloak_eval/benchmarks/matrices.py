"""Every method after every counter-attack, over experiments: the tables and counts of docs/proof.md."""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloak_eval.experiments.cells import CellResult
from cloak_eval.experiments.config import CLEAN, NOISE, UNTRAINED
from cloak_eval.report import markdown_table, points
from cloak_eval.summary import BOUND_NAMES, WORST, OverAttacks, Report, Row, build_report, over_attacks, read_results

__all__ = ["Tally", "add_parser", "experiment_table", "lowest_table", "run", "tally", "tally_table"]


def add_parser(subparsers: Any) -> None:
    """Add the subcommand `matrices`."""
    parser = subparsers.add_parser("matrices", help="print what is left of every method after every counter-attack")
    parser.add_argument("folders", type=Path, nargs="+", help="of results")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Print three tables: what the mimics draw, the lowest change of every method, and counts by artist."""
    found: dict[str, list[CellResult]] = {}
    for _, result in read_results(options.folders):
        found.setdefault(result.experiment, []).append(result)
    reports = {name: build_report(results) for name, results in found.items()}
    alone = {(name, artist): one for name, report in reports.items() for artist, one in _by_artist(report)}
    tables = [experiment_table(alone), lowest_table(reports), tally_table(alone)]
    sys.stdout.write("\n\n".join(tables) + "\n")


def _by_artist(report: Report) -> Iterator[tuple[str, Report]]:
    artists = sorted({result.cell.artist for result in report.results})
    for artist in artists:
        some = [result for result in report.results if result.cell.artist == artist]
        yield artist, build_report(some) if len(artists) > 1 else report


_Alone = dict[tuple[str, str], Report]  # by experiment and artist


def experiment_table(alone: _Alone) -> str:
    """How many drawings the judge gives to each artist, and how far noise moves the probability.

    Args:
        alone: reports by experiment and artist.
    """
    heads = ["experiment", "artist", "counter-attacks", "clean", BOUND_NAMES[UNTRAINED]]
    lines = [[*heads, "clean, after attacks", "any method, after any attack", "noise, change in points"]]
    for (name, artist), report in alone.items():
        attacked = [row for row in report.rows if row.countermeasure not in {"none", WORST}]
        clean = [row for row in report.rows if row.arm == CLEAN and row.countermeasure == "none"]
        untrained = [a.given.value * a.given.n for a in report.attributions if a.arm == BOUND_NAMES[UNTRAINED]]
        shifts = [100 * r.shift.value for r in report.rows if _is_noise(r) and r.shift]
        cells = [name, artist, str(len({row.countermeasure for row in attacked}))]
        cells += [_given(clean), f"{untrained[0]:.0f}" if untrained else ""]
        cells += [_given([row for row in attacked if row.arm == CLEAN]), _given([r for r in attacked if _is_method(r)])]
        lines.append([*cells, f"{min(shifts):+.1f} to {max(shifts):+.1f}" if shifts else ""])
    return "\n".join(markdown_table(lines))


def lowest_table(reports: dict[str, Report]) -> str:
    """The lowest change of the artist's probability of every method, and how many intervals lie below zero and above.

    Args:
        reports: by experiment.
    """
    found = {name: {over.arm: over for over in over_attacks(report)} for name, report in reports.items()}
    arms = list(dict.fromkeys(arm for some in found.values() for arm in some))
    lines = [["arm", *(head for name in found for head in (f"{name}: lowest", "below / above"))]]
    for arm in arms:
        cells = (cell for some in found.values() for cell in (_lowest(some.get(arm)), _sides(some.get(arm))))
        lines.append([arm, *cells])
    return "\n".join(markdown_table(lines))


@dataclass(frozen=True)
class Tally:
    """Pairs of a method and an attack, or none, against clean pictures after the same attack.

    Args:
        fewer: pairs after which fewer drawings are called the artist's.
        as_many: as many.
        more: more.
        most: fewer drawings at most.
        below: intervals of the change of the probability that lie below zero.
        above: above.
    """

    fewer: int
    as_many: int
    more: int
    most: int
    below: int
    above: int

    @property
    def pairs(self) -> int:
        """All of them."""
        return self.fewer + self.as_many + self.more

    def __add__(self, other: "Tally") -> "Tally":
        sums = (self.fewer + other.fewer, self.as_many + other.as_many, self.more + other.more)
        return Tally(*sums, max(self.most, other.most), self.below + other.below, self.above + other.above)


def tally(report: Report) -> Tally:
    """Count what the methods do; clean pictures and noise are none."""
    rows = [row for row in report.rows if _is_method(row) and row.countermeasure != WORST]
    gains, shifts = [row.gain for row in rows if row.gain], [row.shift for row in rows if row.shift]
    fewer = [round(gain.value * gain.n) for gain in gains if gain.value > 0]
    more = sum(gain.value < 0 for gain in gains)
    sides = (sum(shift.high < 0 for shift in shifts), sum(shift.low > 0 for shift in shifts))
    return Tally(len(fewer), len(gains) - len(fewer) - more, more, max(fewer, default=0), *sides)


def tally_table(alone: _Alone) -> str:
    """One line for each artist, one for all, with the lowest change that any method reaches.

    Args:
        alone: reports by experiment and artist.
    """
    heads = ["artist", "pairs", "drawings: as many", "more", "fewer", "fewer at most", "intervals below zero", "above"]
    lines = [[*heads, "lowest", "noise, lowest"]]
    total = Tally(0, 0, 0, 0, 0, 0)
    for (_, artist), report in alone.items():
        counted, some = tally(report), over_attacks(report)
        total += counted
        ends = (_lowest_of(some, _is_method, named=True), _lowest_of(some, _is_noise, named=False))
        lines.append([artist, *_counts(counted), *ends])
    lines.append(["all", *_counts(total), "", ""])
    return "\n".join(markdown_table(lines))


def _counts(of: Tally) -> list[str]:
    return [str(x) for x in (of.pairs, of.as_many, of.more, of.fewer, of.most, of.below, of.above)]


def _is_noise(of: Row | OverAttacks) -> bool:
    return of.arm.split()[0] == NOISE


def _is_method(of: Row | OverAttacks) -> bool:
    return of.arm != CLEAN and not _is_noise(of)


def _given(rows: Sequence[Row]) -> str:
    """Fewest to most drawings that are called the artist's."""
    counts = sorted({round((1 - row.success.value) * row.success.n) for row in rows})
    return f"{counts[0]} to {counts[-1]}" if len(counts) > 1 else "".join(map(str, counts))


def _lowest(over: OverAttacks | None) -> str:
    """Change and attack."""
    if over is None:
        return "not run"
    attack, shift = over.shifts[0]
    return f"{points(shift)}, {'no attack' if attack == 'none' else f'`{attack}`'}"


def _sides(over: OverAttacks | None) -> str:
    return "" if over is None else f"{over.below} / {over.above}"


def _lowest_of(some: Sequence[OverAttacks], which: Callable[[OverAttacks], bool], *, named: bool) -> str:
    chosen = [over for over in some if which(over)]
    if not chosen:
        return "not run"
    lowest = min(chosen, key=lambda over: over.shifts[0][1].value)
    return f"`{lowest.arm}` {_lowest(lowest)}" if named else _lowest(lowest)
