"""What the results of a matrix say together.

A group is one artist, mimic and seed. Where its mimic of clean pictures does not reach the floor, or is not better
than no fine-tune at all, the group says nothing about protection: it is listed as inconclusive and left out.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import ValidationError

from cloak.errors import InputError
from cloak_eval.experiments.cells import CellResult, MetricResult
from cloak_eval.experiments.config import CLEAN, COPY, NOISE, UNTRAINED
from cloak_eval.metrics import METRICS, Interval, bootstrap, paired_difference

__all__ = [
    "BOUND_NAMES",
    "WORST",
    "Attribution",
    "Measure",
    "OverAttacks",
    "Report",
    "Row",
    "arm_of",
    "arms_of",
    "build_report",
    "controls_first",
    "is_bound",
    "over_attacks",
    "read_results",
]

WORST = "worst of all"
_SUCCESS, _PROBABILITY = "protection-success", "style-probability"
BOUND_NAMES = {UNTRAINED: "no fine-tune", COPY: "copies"}
Group = tuple[str, str, int]
_Values = dict[tuple[str, str], dict[Group, torch.Tensor]]  # a value for each drawing, by arm and countermeasure


@dataclass(frozen=True)
class Row:
    """Protection of one arm against one countermeasure, over all conclusive groups.

    Args:
        arm: method and strength.
        countermeasure: or `WORST`: a drawing counts as protected only if it is so after every countermeasure.
        success: protection success rate.
        gain: success minus that of clean pictures after the same countermeasure, prompt by prompt; None for clean.
        shift: the same of the probability that the judge gives the artist, which moves before answers change; None for
            clean, for `WORST`, and where it was not measured.
        groups: how many groups it rests on.
    """

    arm: str
    countermeasure: str
    success: Interval
    gain: Interval | None
    shift: Interval | None
    groups: int


@dataclass(frozen=True)
class OverAttacks:
    """The shifts of one arm after no attack and after every counter-attack that it met.

    Args:
        arm: method and strength.
        shifts: each after the name of the counter-attack, or "none"; the lowest first.
    """

    arm: str
    shifts: Sequence[tuple[str, Interval]]

    @property
    def met(self) -> int:
        """How many counter-attacks."""
        return sum(counter != "none" for counter, _ in self.shifts)

    @property
    def below(self) -> int:
        """How many intervals of the shift lie below zero."""
        return sum(shift.high < 0 for _, shift in self.shifts)

    @property
    def above(self) -> int:
        """How many lie above."""
        return sum(shift.low > 0 for _, shift in self.shifts)


@dataclass(frozen=True)
class Measure:
    """One metric of one arm, where nobody attacked it, over artists, mimics and seeds.

    Args:
        arm: method and strength, or the bound that it is: what is drawn without fine-tune, or copied.
        metric: its name.
        figure: mean with its interval over pooled rows; for figures about sets the mean, and the extremes of the cells.
        of_pictures: whether it is about the published pictures; else it is about drawings of conclusive groups.
    """

    arm: str
    metric: str
    figure: Interval
    of_pictures: bool


@dataclass(frozen=True)
class Attribution:
    """What the judge gives to one artist, where nobody attacked, over mimics and seeds.

    Args:
        artist: whom was asked for.
        arm: method and strength, or the bound that it is.
        given: share of the drawings, over all of them.
        seeds: the same of every single mimic.
        shift: by how much the judge's mean probability of the artist rises against clean pictures, drawing by drawing.
    """

    artist: str
    arm: str
    given: Interval
    seeds: Sequence[float]
    shift: Interval | None


@dataclass(frozen=True)
class Report:
    """What is known.

    Args:
        results: every cell, done or failed.
        rows: by arm and countermeasure.
        attributions: by artist and arm; of inconclusive groups only the bounds and the mimics of clean pictures.
        inconclusive: groups with the reason.
        visibility: LPIPS of each arm.
        seconds: of each picture and arm, where it was measured.
        measures: every metric by arm.
        changes: of each metric that has a value for each drawing, arm against clean pictures, drawing by drawing.
        called: shares by artist whom the judge names, of what was drawn without fine-tune, copied, and drawn by mimics
            of clean pictures, where nobody attacked.
    """

    results: Sequence[CellResult]
    rows: Sequence[Row]
    attributions: Sequence[Attribution]
    inconclusive: dict[Group, str]
    visibility: dict[str, float]
    seconds: dict[str, float]
    measures: Sequence[Measure]
    changes: Sequence[Measure]
    called: dict[str, dict[str, float]]

    @property
    def ranking(self) -> list[Row]:
        """Arms by what is left of them in the worst case, best first."""
        worst = [row for row in self.rows if row.countermeasure == WORST and row.gain is not None]
        return sorted(worst, key=lambda row: -row.success.value)


def read_results(paths: Iterable[Path]) -> list[tuple[Path, CellResult]]:
    """Result files, or all of those in folders.

    Raises:
        InputError: a named file is no result, or nothing was found.
    """
    found = []
    for path in paths:
        for file in sorted(path.rglob("*--*.json")) if path.is_dir() else [path]:
            try:
                found.append((file, CellResult.model_validate_json(file.read_bytes())))
            except (OSError, ValidationError) as error:
                raise InputError(f"{file} is not the result of a cell of `cloak eval run`.") from error
    if not found:
        raise InputError("No results were found; give the folder that `cloak eval run` wrote, or some of its files.")
    return found


def arm_of(result: CellResult) -> str:
    """Method and strength."""
    return f"{result.cell.method} {result.cell.strength}".strip()


def is_bound(result: CellResult) -> bool:
    """Whether it is a control that bounds what mimics can draw; where copies are compared as a mimic, they are none."""
    return result.cell.is_bound and (result.cell.mimic == UNTRAINED or COPY not in result.settings["mimics"])


def _name_of(result: CellResult) -> str:
    """The arm, or the bound that it is."""
    return BOUND_NAMES[result.cell.mimic] if is_bound(result) else arm_of(result)


def controls_first(arm: str) -> tuple[bool, bool, bool, str]:
    """A key to sort arms by: bounds, clean pictures, noise, then the methods by name."""
    return arm not in BOUND_NAMES.values(), arm != CLEAN, not arm.startswith(NOISE), arm


def arms_of(report: Report) -> list[str]:
    """Every arm that a row is about, controls first."""
    return sorted({row.arm for row in report.rows}, key=controls_first)


def over_attacks(report: Report) -> list[OverAttacks]:
    """Of each arm that met a counter-attack, controls first."""
    found = []
    for arm in arms_of(report):
        shifts = [(row.countermeasure, row.shift) for row in report.rows if row.arm == arm and row.shift]
        over = OverAttacks(arm, sorted(shifts, key=lambda pair: pair[1].value))
        if over.met:
            found.append(over)
    return found


def build_report(results: Sequence[CellResult]) -> Report:
    """Apply the rule about inconclusive groups and summarise the rest."""
    done = [result for result in results if result.status == "done" and _SUCCESS in result.metrics]
    groups: dict[Group, list[CellResult]] = defaultdict(list)
    bounds: dict[Group, list[CellResult]] = defaultdict(list)
    for result in done:
        cell = result.cell
        (bounds if is_bound(result) else groups)[cell.artist, cell.mimic, cell.seed].append(result)
    inconclusive = {group: why for group, some in groups.items() if (why := _doubt(group, some, bounds))}
    kept = {group: some for group, some in groups.items() if group not in inconclusive}
    return Report(
        results=results,
        rows=_rows(kept),
        attributions=list(_attributions(groups, bounds, kept)),
        inconclusive=inconclusive,
        visibility=_means((arm_of(r), r.metrics["lpips"].figure.value) for r in done if "lpips" in r.metrics),
        seconds=_means((arm_of(r), r.protect_seconds) for r in done if r.protect_seconds is not None),
        measures=[
            *_measures(_one_each(groups), of_pictures=True),
            *_measures(bounds, of_pictures=False),
            *_measures(kept, of_pictures=False),
        ],
        changes=list(_changes(kept)),
        called=_called(done),
    )


def _called(done: Sequence[CellResult]) -> dict[str, dict[str, float]]:
    """Where the judge's answers go when nobody protects anything: an artist's column holds the wrong-artist control."""
    table: dict[str, dict[str, float]] = {}
    phrases = {UNTRAINED: "no fine-tune, asked for", COPY: "copies of"}
    order = list(phrases)
    for result in sorted(done, key=lambda each: order.index(m) if (m := each.cell.mimic) in order else len(order)):
        cell = result.cell
        if cell.method == CLEAN and cell.countermeasure == "none" and result.called:
            name = phrases.get(cell.mimic, f"{cell.mimic} of")
            drawn = sum(result.called.values())
            seed = f", seed {cell.seed}" if cell.seed else ""
            table[f"{name} {cell.artist}{seed}"] = {who: count / drawn for who, count in result.called.items()}
    return table


def _one_each(groups: dict[Group, list[CellResult]]) -> dict[Group, list[CellResult]]:
    """One group for each artist, since the published pictures are the same in all of them."""
    first = {group[0]: group for group in reversed(list(groups))}
    return {group: groups[group] for group in first.values()}


def _measures(groups: dict[Group, list[CellResult]], *, of_pictures: bool) -> Iterator[Measure]:
    found: dict[tuple[str, str], list[MetricResult]] = defaultdict(list)
    for result in (result for some in groups.values() for result in some):
        if result.cell.countermeasure == "none":
            for name, metric in result.metrics.items():
                if name in METRICS.names() and METRICS.get(name).value.of_pictures == of_pictures:
                    found[_name_of(result), name].append(metric)
    for (arm, name), cells in found.items():
        yield Measure(arm, name, _pooled(cells), of_pictures)


def _changes(groups: dict[Group, list[CellResult]]) -> Iterator[Measure]:
    """Prompts and seeds are the same in all arms, so pairs show changes that are far smaller than the intervals."""
    pairs: dict[tuple[str, str], list[tuple[list[float], list[float]]]] = defaultdict(list)
    for some in groups.values():
        alone = [result for result in some if result.cell.countermeasure == "none"]
        clean = next(result for result in alone if result.cell.is_clean)  # without it the group is inconclusive
        for result in (result for result in alone if not result.cell.is_clean):
            for name, metric in result.metrics.items():
                of_pictures = name not in METRICS.names() or METRICS.get(name).value.of_pictures
                if metric.rows and not of_pictures and name in clean.metrics:
                    pairs[arm_of(result), name].append((metric.rows, clean.metrics[name].rows))
    for (arm, name), found in pairs.items():
        sides = ([row for rows in side for row in rows] for side in zip(*found, strict=True))
        treated, control = (torch.tensor(rows, dtype=torch.float64) for rows in sides)
        yield Measure(arm, name, paired_difference(treated, control), of_pictures=False)


def _pooled(cells: Sequence[MetricResult]) -> Interval:
    if len(cells) == 1:
        return cells[0].figure
    if all(cell.rows for cell in cells):
        rows = torch.tensor([row for cell in cells for row in cell.rows], dtype=torch.float64)
        return bootstrap(rows, lambda some: float(some.mean()))
    values = [cell.figure.value for cell in cells]
    mean = sum(values) / len(values)
    return Interval(value=mean, low=min(values), high=max(values), n=sum(cell.figure.n for cell in cells))


def _success(result: CellResult) -> float:
    return result.metrics[_SUCCESS].figure.value


def _attributions(
    groups: dict[Group, list[CellResult]], bounds: dict[Group, list[CellResult]], kept: dict[Group, list[CellResult]]
) -> Iterator[Attribution]:
    found: dict[tuple[str, str], list[CellResult]] = defaultdict(list)
    for group, some in (*bounds.items(), *groups.items()):
        for result in some:
            if result.cell.countermeasure == "none" and (group in kept or is_bound(result) or result.cell.is_clean):
                found[result.cell.artist, _name_of(result)].append(result)
    shifts = {
        (artist, change.arm): change.figure
        for artist in {group[0] for group in kept}
        for change in _changes({group: some for group, some in kept.items() if group[0] == artist})
        if change.metric == _PROBABILITY
    }
    for (artist, arm), some in sorted(found.items(), key=lambda item: item[0][0]):
        success = _pooled([result.metrics[_SUCCESS] for result in some])
        given = Interval(value=1 - success.value, low=1 - success.high, high=1 - success.low, n=success.n)
        yield Attribution(artist, arm, given, [1 - _success(result) for result in some], shifts.get((artist, arm)))


def _doubt(group: Group, some: list[CellResult], bounds: dict[Group, list[CellResult]]) -> str:
    """Why a group says nothing; "" if it does."""
    clean = [r for r in some if r.cell.method == CLEAN and r.cell.countermeasure == "none"]
    if not clean:
        return "there is no mimic of clean pictures"
    attributed, floor = 1 - _success(clean[0]), float(clean[0].settings["floor"])
    if attributed < floor:
        return f"the mimic of clean pictures has the style in {attributed:.0%} of its drawings, {floor:.0%} are needed"
    artist, _, seed = group
    untrained = bounds.get((artist, UNTRAINED, seed))
    if not untrained:
        return "there is no control without fine-tune"
    if attributed <= (already := 1 - _success(untrained[0])):
        return f"without fine-tune {already:.0%} are attributed to the artist already"
    return ""


def _rows(groups: dict[Group, list[CellResult]]) -> list[Row]:
    table: _Values = defaultdict(dict)
    given: _Values = defaultdict(dict)
    for group, results in groups.items():
        by_arm: dict[str, list[torch.Tensor]] = defaultdict(list)
        for result in results:
            place = (arm_of(result), result.cell.countermeasure)
            table[place][group] = _values(result, _SUCCESS)
            if _PROBABILITY in result.metrics:
                given[place][group] = _values(result, _PROBABILITY)
            by_arm[arm_of(result)].append(table[place][group])
        counters = {result.cell.countermeasure for result in results}
        for arm, columns in by_arm.items():
            if len(columns) == len(counters):  # whoever met fewer has no worst case that compares
                table[arm, WORST][group] = torch.stack(columns).amin(0)
    return [_row(place, cells, table, given) for place, cells in table.items()]


def _values(result: CellResult, metric: str) -> torch.Tensor:
    return torch.tensor(result.metrics[metric].rows, dtype=torch.float64)


def _row(place: tuple[str, str], cells: dict[Group, torch.Tensor], table: _Values, given: _Values) -> Row:
    success = bootstrap(torch.cat(list(cells.values())), lambda rows: float(rows.mean()), resamples=1000)
    return Row(*place, success, _against_clean(place, table), _against_clean(place, given), len(cells))


def _against_clean(place: tuple[str, str], table: _Values) -> Interval | None:
    """Change against clean pictures after the same countermeasure, drawing by drawing."""
    arm, counter = place
    cells, clean = table.get(place, {}), table.get((CLEAN, counter), {})
    shared = [group for group in cells if group in clean]
    if arm == CLEAN or not shared:
        return None
    return paired_difference(torch.cat([cells[g] for g in shared]), torch.cat([clean[g] for g in shared]))


def _means(pairs: Iterable[tuple[str, float | None]]) -> dict[str, float]:
    kept: dict[str, list[float]] = defaultdict(list)
    for name, value in pairs:
        if value is not None:
            kept[name].append(value)
    return {name: sum(values) / len(values) for name, values in kept.items()}
