"""From result files to one page that needs no network, and the same in Markdown.

A group is one artist, mimic and seed. Where its mimic of clean pictures does not reach the floor, or is not better
than no fine-tune at all, the group says nothing about protection: it is listed as inconclusive and left out.
"""

import base64
import html
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import ValidationError

from cloak.errors import InputError
from cloak.image import write_file
from cloak_eval.experiments.cells import CellResult
from cloak_eval.experiments.config import CLEAN, NOISE
from cloak_eval.metrics import Interval, bootstrap, paired_difference

__all__ = ["Report", "Row", "build_report", "read_results", "to_html", "to_markdown", "write_report"]

WORST = "worst of all"
_SUCCESS = "protection-success"
Group = tuple[str, str, int]


@dataclass(frozen=True)
class Row:
    """Protection of one arm against one countermeasure, over all conclusive groups.

    Args:
        arm: method and strength.
        countermeasure: or `WORST`: a drawing counts as protected only if it is so after every countermeasure.
        success: protection success rate.
        gain: success minus that of clean pictures after the same countermeasure, prompt by prompt; None for clean.
        groups: how many groups it rests on.
    """

    arm: str
    countermeasure: str
    success: Interval
    gain: Interval | None
    groups: int


@dataclass(frozen=True)
class Report:
    """What is known.

    Args:
        results: every cell, done or failed.
        rows: by arm and countermeasure.
        untrained: protection success without any fine-tune, by artist.
        inconclusive: groups with the reason.
        visibility: LPIPS of each arm.
        seconds: of each picture and arm, where it was measured.
    """

    results: Sequence[CellResult]
    rows: Sequence[Row]
    untrained: dict[str, float]
    inconclusive: dict[Group, str]
    visibility: dict[str, float]
    seconds: dict[str, float]

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


def write_report(paths: Sequence[Path], out: Path) -> tuple[Path, Path]:
    """Write `out` with .html and .md and return both paths; reports that are there already are replaced."""
    found = read_results(paths)
    report = build_report([result for _, result in found])
    sheets = {file.stem: sheet.read_bytes() for file, _ in found if (sheet := file.with_suffix(".jpg")).is_file()}
    out.parent.mkdir(parents=True, exist_ok=True)
    page, text = out.with_name(f"{out.name}.html"), out.with_name(f"{out.name}.md")
    write_file(to_html(report, sheets).encode(), page, overwrite=True)
    write_file(to_markdown(report).encode(), text, overwrite=True)
    return page, text


def arm_of(result: CellResult) -> str:
    """Method and strength."""
    return f"{result.cell.method} {result.cell.strength}".strip()


def build_report(results: Sequence[CellResult]) -> Report:
    """Apply the rule about inconclusive groups and summarise the rest."""
    done = [result for result in results if result.status == "done" and _SUCCESS in result.metrics]
    groups: dict[Group, list[CellResult]] = defaultdict(list)
    untrained: dict[tuple[str, int], float] = {}
    for result in done:
        cell = result.cell
        if cell.mimic == "none":
            untrained[cell.artist, cell.seed] = _success(result)
        else:
            groups[cell.artist, cell.mimic, cell.seed].append(result)
    inconclusive = {
        group: why for group, some in groups.items() if (why := _doubt(some, untrained.get((group[0], group[2]))))
    }
    kept = {group: some for group, some in groups.items() if group not in inconclusive}
    return Report(
        results=results,
        rows=_rows(kept),
        untrained={artist: value for (artist, _), value in untrained.items()},
        inconclusive=inconclusive,
        visibility=_means((arm_of(r), r.metrics["lpips"].figure.value) for r in done if "lpips" in r.metrics),
        seconds=_means((arm_of(r), r.protect_seconds) for r in done if r.protect_seconds is not None),
    )


def _success(result: CellResult) -> float:
    return result.metrics[_SUCCESS].figure.value


def _doubt(group: list[CellResult], untrained: float | None) -> str:
    """Why a group says nothing; "" if it does."""
    clean = [r for r in group if r.cell.method == CLEAN and r.cell.countermeasure == "none"]
    if not clean:
        return "there is no mimic of clean pictures"
    attributed, floor = 1 - _success(clean[0]), float(clean[0].settings["floor"])
    if attributed < floor:
        return f"the mimic of clean pictures has the style in {attributed:.0%} of its drawings, {floor:.0%} are needed"
    if untrained is None:
        return "there is no control without fine-tune"
    if attributed <= 1 - untrained:
        return f"without fine-tune {1 - untrained:.0%} are attributed to the artist already"
    return ""


def _rows(groups: dict[Group, list[CellResult]]) -> list[Row]:
    table: dict[tuple[str, str], dict[Group, torch.Tensor]] = defaultdict(dict)
    for group, results in groups.items():
        by_arm: dict[str, list[torch.Tensor]] = defaultdict(list)
        for result in results:
            drawn = torch.tensor(result.metrics[_SUCCESS].rows, dtype=torch.float64)
            table[arm_of(result), result.cell.countermeasure][group] = drawn
            by_arm[arm_of(result)].append(drawn)
        for arm, columns in by_arm.items():
            table[arm, WORST][group] = torch.stack(columns).amin(0)
    return [_row(arm, counter, cells, table) for (arm, counter), cells in table.items()]


def _row(
    arm: str, counter: str, cells: dict[Group, torch.Tensor], table: dict[tuple[str, str], dict[Group, torch.Tensor]]
) -> Row:
    success = bootstrap(torch.cat(list(cells.values())), lambda rows: float(rows.mean()), resamples=1000)
    clean = table.get((CLEAN, counter), {})
    shared = [group for group in cells if group in clean]
    gain = None
    if arm != CLEAN and shared:
        gain = paired_difference(torch.cat([cells[g] for g in shared]), torch.cat([clean[g] for g in shared]))
    return Row(arm, counter, success, gain, len(cells))


def _means(pairs: Iterable[tuple[str, float | None]]) -> dict[str, float]:
    kept: dict[str, list[float]] = defaultdict(list)
    for name, value in pairs:
        if value is not None:
            kept[name].append(value)
    return {name: sum(values) / len(values) for name, values in kept.items()}


def _percent(figure: Interval) -> str:
    return f"{100 * figure.value:.0f} ({100 * figure.low:.0f} to {100 * figure.high:.0f})"


def _arms(report: Report) -> list[str]:
    """Controls first."""
    names = {row.arm for row in report.rows}
    return sorted(names, key=lambda name: (name != CLEAN, not name.startswith(NOISE), name))


def _counters(report: Report) -> list[str]:
    names = {row.countermeasure for row in report.rows}
    return sorted(names, key=lambda name: (name == WORST, name != "none", name))


def _facts(report: Report) -> list[str]:
    done = [r for r in report.results if r.status == "done"]
    lines = [
        f"{len(done)} cells done, {len(report.results) - len(done)} failed.",
        f"{len(report.inconclusive)} groups are inconclusive.",
    ]
    if done:
        first, judge = done[0], done[0].judge
        lines.append(
            f"Mimics fine-tune {first.settings['model']!r}; "
            f"cloaks are made against {', '.join(first.settings['protect_models'])}."
        )
        lines.append(
            f"The style classifier names the artist of {judge['accuracy']:.0%} of {judge['crops']} clean crops of "
            f"{judge['held_out_pictures']} held-out pictures ({judge['features']})."
        )
    lines += [
        f"Without fine-tune, {1 - value:.0%} of the drawings are attributed to {artist}."
        for artist, value in report.untrained.items()
    ]
    return lines


def to_markdown(report: Report) -> str:
    """The figures without the pictures."""
    counters = _counters(report)
    cells = {(row.arm, row.countermeasure): row for row in report.rows}
    lines = ["# What is left of each cloak", "", *(f"- {fact}" for fact in _facts(report)), ""]
    lines += [
        "Protection success: share of drawings not attributed to the artist, %, with 95 % bootstrap interval.",
        "",
    ]
    if report.rows:
        lines += [f"| arm | LPIPS | {' | '.join(counters)} |", "|---" * (len(counters) + 2) + "|"]
    for arm in _arms(report):
        found = [cells.get((arm, counter)) for counter in counters]
        figures = " | ".join("not run" if row is None else _percent(row.success) for row in found)
        lines.append(f"| {arm} | {report.visibility.get(arm, 0):.4f} | {figures} |")
    lines += ["", "## Ranking by the worst case", ""] if report.ranking else []
    for place, row in enumerate(report.ranking, 1):
        assert row.gain is not None  # the ranking holds no others
        lines.append(
            f"{place}. {row.arm}: {_percent(row.success)} %, {100 * row.gain.value:+.0f} points against clean "
            f"({100 * row.gain.low:+.0f} to {100 * row.gain.high:+.0f}), {row.groups} groups, {row.success.n} drawings"
        )
    lines += ["", "## Inconclusive", ""] if report.inconclusive else []
    lines += [f"- {artist}, {mimic}, seed {seed}: {why}" for (artist, mimic, seed), why in report.inconclusive.items()]
    failed = [r for r in report.results if r.status == "failed"]
    lines += ["", "## Failed", "", *(f"- {r.cell.name}: {r.error}" for r in failed)] if failed else []
    lines += (
        ["", "## Cost", "", *(f"- {arm}: {value:.1f} s a picture" for arm, value in report.seconds.items())]
        if report.seconds
        else []
    )
    return "\n".join(lines) + "\n"


_STYLE = """body{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;
color:#222;background:#fff}
table{border-collapse:collapse;font-size:.85rem}td,th{border:1px solid #ccc;padding:.3rem .5rem;text-align:right}
td:first-child,th{text-align:left}figure{margin:0 0 1.5rem}
img{max-width:100%;image-rendering:auto}.wide{overflow-x:auto}
.grid{display:grid;grid-template-columns:repeat(auto-fill,minmax(22rem,1fr));gap:1rem}figcaption{font-size:.85rem}"""


def to_html(report: Report, pictures: dict[str, bytes]) -> str:
    """One self-contained page.

    Args:
        report: the figures.
        pictures: JPEG sheets by cell name.
    """
    facts = "".join(f"<li>{html.escape(fact)}</li>" for fact in _facts(report))
    doubts = "".join(
        f"<li>{html.escape(f'{a}, {m}, seed {s}: {why}')}</li>" for (a, m, s), why in report.inconclusive.items()
    )
    failed = "".join(
        f"<li>{html.escape(f'{r.cell.name}: {r.error}')}</li>" for r in report.results if r.status == "failed"
    )
    parts = [
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>What is left of each cloak</title>',
        f"<style>{_STYLE}</style>",
        f"<h1>What is left of each cloak</h1><ul>{facts}</ul>",
        "<h2>Protection success by countermeasure</h2>",
        "<p>Share of drawings not attributed to the artist, %, 95 % interval.</p>",
        f'<div class="wide">{_heat_map(report)}</div>' if report.rows else "<p>No group was conclusive.</p>",
        f"<h2>Visibility against protection</h2>{_trade_off(report)}" if report.rows else "",
        _costs(report),
        f"<h2>Inconclusive</h2><ul>{doubts}</ul>" if doubts else "",
        f"<h2>Failed</h2><ul>{failed}</ul>" if failed else "",
        "<h2>Pictures</h2><p>Rows: original, published, after the countermeasure, drawn by the mimic.</p>",
        f'<div class="grid">{"".join(_figure(name, data) for name, data in sorted(pictures.items()))}</div></html>',
    ]
    return "\n".join(part for part in parts if part)


def _figure(name: str, data: bytes) -> str:
    source = base64.b64encode(data).decode()
    label = html.escape(name.replace("--", ", "))
    return f'<figure><img alt="{label}" src="data:image/jpeg;base64,{source}"><figcaption>{label}</figcaption></figure>'


def _heat_map(report: Report) -> str:
    counters, cells = _counters(report), {(row.arm, row.countermeasure): row for row in report.rows}
    head = "".join(f"<th>{html.escape(counter)}</th>" for counter in counters)
    body = ""
    for arm in _arms(report):
        body += f"<tr><td>{html.escape(arm)}</td>"
        for counter in counters:
            row = cells.get((arm, counter))
            colour = "#eee" if row is None else f"hsl({120 * row.success.value:.0f} 60% 80%)"
            body += f'<td style="background:{colour}">{"not run" if row is None else _percent(row.success)}</td>'
        body += "</tr>"
    return f"<table><tr><th>arm</th>{head}</tr>{body}</table>"


def _trade_off(report: Report) -> str:
    """Dots with their intervals: to the left less visible, up better protected."""
    most = max([*report.visibility.values(), 1e-3]) * 1.15
    marks = ""
    for row in (row for row in report.rows if row.countermeasure == "none"):
        x, y = 60 + 520 * report.visibility.get(row.arm, 0) / most, 260 - 240 * row.success.value
        low, high = (260 - 240 * bound for bound in (row.success.low, row.success.high))
        marks += f'<line x1="{x:.0f}" x2="{x:.0f}" y1="{low:.0f}" y2="{high:.0f}" stroke="#888"/>'
        marks += f'<circle cx="{x:.0f}" cy="{y:.0f}" r="5" fill="#06c"/>'
        marks += f'<text x="{x + 8:.0f}" y="{y - 6:.0f}">{html.escape(row.arm)}</text>'
    axes = '<path d="M60 20V260H580" fill="none" stroke="#222"/><text x="250" y="290">LPIPS of the cloak</text>'
    axes += f'<text x="540" y="276">{most:.3f}</text><text x="20" y="265">0 %</text><text x="5" y="28">100 %</text>'
    frame = 'viewBox="0 0 640 300" width="640" font-size="13" role="img" aria-label="visibility against protection"'
    return f"<svg {frame}>{axes}{marks}</svg>"


def _costs(report: Report) -> str:
    rows = "".join(f"<tr><td>{html.escape(arm)}</td><td>{value:.1f}</td></tr>" for arm, value in report.seconds.items())
    places = "".join(f"<li>{html.escape(row.arm)}: {_percent(row.success)} %</li>" for row in report.ranking)
    ranking = f"<h2>Ranking by the worst case</h2><ol>{places}</ol>" if places else ""
    return ranking + (
        f"<h2>Cost</h2><table><tr><th>arm</th><th>seconds a picture</th></tr>{rows}</table>" if rows else ""
    )
