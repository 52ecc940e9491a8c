"""From result files to one page that needs no network, and the same in Markdown."""

import base64
import html
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cloak.image import write_file
from cloak_eval.experiments.config import COPY
from cloak_eval.metrics import METRICS, Interval
from cloak_eval.summary import (
    BOUND_NAMES,
    WORST,
    Attribution,
    OverAttacks,
    Report,
    Row,
    arms_of,
    build_report,
    controls_first,
    over_attacks,
    read_results,
)

__all__ = ["markdown_table", "points", "to_html", "to_markdown", "write_report"]


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


def _percent(figure: Interval) -> str:
    return f"{100 * figure.value:.0f} ({100 * figure.low:.0f} to {100 * figure.high:.0f})"


def points(figure: Interval) -> str:
    """A change of a share, in points, with its interval."""
    return f"{100 * figure.value:+.1f} ({100 * figure.low:+.1f} to {100 * figure.high:+.1f})"


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
            f"{judge['held_out_pictures']} held-out pictures (95 % interval {judge['low']:.0%} to {judge['high']:.0%}; "
            f"{judge['features']})."
        )
    if any(each.arm == BOUND_NAMES[COPY] for each in report.attributions):
        lines.append("Copies are crops of the stolen pictures as the model's autoencoder gives them back.")
    return lines


def to_markdown(report: Report) -> str:
    """The figures without the pictures."""
    lines = ["# What is left of each cloak", "", *(f"- {fact}" for fact in _facts(report))]
    for title, coloured in _heat_maps(report):
        lines += ["", title, "", *markdown_table([[text for text, _ in line] for line in coloured])]
    lines += ["", "## Ranking by the worst case", ""] if report.ranking else []
    for place, row in enumerate(report.ranking, 1):
        assert row.gain is not None  # the ranking holds no others
        lines.append(
            f"{place}. {row.arm}: {_percent(row.success)} %, {100 * row.gain.value:+.0f} points against clean "
            f"({100 * row.gain.low:+.0f} to {100 * row.gain.high:+.0f}), {row.groups} groups, {row.success.n} drawings"
        )
    for title, table in _measure_tables(report):
        lines += ["", f"## {title}", "", *markdown_table(table)]
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


def markdown_table(lines: list[list[str]]) -> list[str]:
    """The lines of a table whose first line is the head."""
    head, *rows = (f"| {' | '.join(cells)} |" for cells in lines)
    return [head, "|---" * len(lines[0]) + "|", *rows]


_TABLES = {True: "Visibility and detectability of the published pictures", False: "The drawings, without an attack"}
_OVER_ATTACKS = "Change of the probability over no attack and every counter-attack, in points"
_OVER = (
    "arm",
    "counter-attacks",
    "lowest",
    "after",
    "highest",
    "after",
    "intervals below zero",
    "intervals above zero",
)
_BY_ARTIST = "By artist, without an attack"
_ATTRIBUTED = ("artist", "arm", "given to the artist, %", "by seed, %", "change of the probability, points")
_CHANGES = "Change of the drawings against those of clean pictures, paired by prompt and seed"


def _measure_tables(report: Report) -> Iterator[tuple[str, list[list[str]]]]:
    """Title and lines of each table; arms go down; metrics go across, with what is good for the artist."""
    if over := over_attacks(report):
        yield _OVER_ATTACKS, [[*_OVER], *map(_over_line, over)]
    if report.attributions:
        ordered = sorted(report.attributions, key=lambda each: (each.artist, controls_first(each.arm)))
        yield _BY_ARTIST, [[*_ATTRIBUTED], *map(_attributed, ordered)]
    if report.called:
        heads = sorted({who for row in report.called.values() for who in row})
        rows = [[name, *(f"{100 * row.get(who, 0):.0f} %" for who in heads)] for name, row in report.called.items()]
        yield "Whom the judge names, from clean pictures", [["drawn by", *heads], *rows]
    tables = {title: [m for m in report.measures if m.of_pictures == which] for which, title in _TABLES.items()}
    for title, some in {**tables, _CHANGES: report.changes}.items():
        figures = {(each.metric, each.arm): each.figure for each in some}
        names, arms = sorted({each.metric for each in some}), sorted({each.arm for each in some}, key=controls_first)
        if names:
            yield title, [["arm", *map(_with_direction, names)], *(_arm_line(arm, names, figures) for arm in arms)]


def _over_line(over: OverAttacks) -> list[str]:
    ends = (over.shifts[0], over.shifts[-1])
    shown = (text for counter, shift in ends for text in (points(shift), counter))
    return [over.arm, str(over.met), *shown, str(over.below), str(over.above)]


def _attributed(of: Attribution) -> list[str]:
    seeds = ", ".join(f"{100 * share:.0f}" for share in of.seeds)
    return [of.artist, of.arm, _percent(of.given), seeds, points(of.shift) if of.shift else ""]


def _with_direction(name: str) -> str:
    better = {True: " (higher is better)", False: " (lower is better)", None: ""}
    return name + better[METRICS.get(name).higher_is_better]


def _arm_line(arm: str, names: list[str], figures: dict[tuple[str, str], Interval]) -> list[str]:
    found = [figures.get((name, arm)) for name in names]
    return [arm, *("" if x is None else f"{x.value:.3g} ({x.low:.3g} to {x.high:.3g})" for x in found)]


_STYLE = """body{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;
color:#222;background:#fff}
table{border-collapse:collapse;font-size:.85rem}td,th{border:1px solid #ccc;padding:.3rem .5rem;text-align:right}
td:first-child,th{text-align:left}figure{margin:0 0 1.5rem}
img{max-width:100%;image-rendering:auto}.wide{overflow-x:auto}
svg text{paint-order:stroke;stroke:#fff;stroke-width:3px}
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
        "<h2>Protection by countermeasure</h2>",
        *(f'<p>{title}</p><div class="wide">{_coloured(table)}</div>' for title, table in _heat_maps(report)),
        "" if report.rows else "<p>No group was conclusive.</p>",
        f"<h2>Visibility against protection</h2>{_trade_off(report)}" if report.rows else "",
        *(f'<h2>{title}</h2><div class="wide">{_table(lines)}</div>' for title, lines in _measure_tables(report)),
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


def _table(lines: list[list[str]]) -> str:
    """The first line is the head."""
    tags = ["th", *["td"] * (len(lines) - 1)]
    rows = ("".join(f"<{t}>{html.escape(cell)}</{t}>" for cell in line) for t, line in zip(tags, lines, strict=True))
    return "<table>" + "".join(f"<tr>{row}</tr>" for row in rows) + "</table>"


_Coloured = tuple[str, float | None]  # a cell's text, and how good it is for the artist, in [0, 1]


@dataclass(frozen=True)
class _HeatMap:
    title: str
    figure: Callable[[Row], Interval | None]
    show: Callable[[Interval], str]
    goodness: Callable[[float], float]


_HEAT_MAPS = (
    _HeatMap(
        "Protection success: share of drawings not attributed to the artist, %, with 95 % bootstrap interval.",
        figure=lambda row: row.success,
        show=_percent,
        goodness=lambda value: value,
    ),
    _HeatMap(
        "Change of the probability that the judge gives the artist, in points, against clean pictures after the same "
        "counter-attack, paired by prompt and seed; less is better for the artist.",
        figure=lambda row: row.shift,
        show=points,
        goodness=lambda value: min(max(0.5 - value, 0.0), 1.0),
    ),
)


def _heat_maps(report: Report) -> Iterator[tuple[str, list[list[_Coloured]]]]:
    """Title and lines of each table of arms by countermeasures; the first line is the head."""
    for each in _HEAT_MAPS:
        figures = {(row.arm, row.countermeasure): found for row in report.rows if (found := each.figure(row))}
        counters = [name for name in _counters(report) if any(counter == name for _, counter in figures)]
        lines: list[list[_Coloured]] = [[(head, None) for head in ("arm", "LPIPS", *counters)]]
        for arm in (arm for arm in arms_of(report) if any(name == arm for name, _ in figures)):
            row = [figures.get((arm, counter)) for counter in counters]
            shown = [("not run", None) if x is None else (each.show(x), each.goodness(x.value)) for x in row]
            lines.append([(arm, None), (f"{report.visibility.get(arm, 0):.4f}", None), *shown])
        if figures:
            yield each.title, lines


def _coloured(lines: list[list[_Coloured]]) -> str:
    """The first line is the head."""
    head, *rows = lines
    body = "".join(f"<tr>{''.join(map(_coloured_cell, row))}</tr>" for row in rows)
    return f"<table><tr>{''.join(f'<th>{html.escape(text)}</th>' for text, _ in head)}</tr>{body}</table>"


def _coloured_cell(cell: _Coloured) -> str:
    text, goodness = cell
    colour = "" if goodness is None else f' style="background:hsl({120 * goodness:.0f} 60% 80%)"'
    return f"<td{colour}>{html.escape(text)}</td>"


def _trade_off(report: Report) -> str:
    """Dots with their intervals: to the left less visible, up better protected."""
    most = max([*report.visibility.values(), 1e-3]) * 1.15
    marks, taken = "", list[tuple[float, float, float]]()
    for row in (row for row in report.rows if row.countermeasure == "none"):
        x, y = 60 + 520 * report.visibility.get(row.arm, 0) / most, 260 - 240 * row.success.value
        low, high = (260 - 240 * bound for bound in (row.success.low, row.success.high))
        left, width = x + 12, 7.0 * len(row.arm)
        label = _free_place(left, y, width, taken)
        taken.append((left, label, width))
        marks += f'<line x1="{x:.0f}" x2="{x:.0f}" y1="{low:.0f}" y2="{high:.0f}" stroke="#888"/>'
        marks += f'<path d="M{x:.0f} {y:.0f}L{left - 2:.0f} {label - 4:.0f}" stroke="#bbb"/>'
        marks += f'<circle cx="{x:.0f}" cy="{y:.0f}" r="5" fill="#06c"/>'
        marks += f'<text x="{left:.0f}" y="{label:.0f}">{html.escape(row.arm)}</text>'
    axes = '<path d="M60 20V260H580" fill="none" stroke="#222"/><text x="250" y="290">LPIPS of the cloak</text>'
    axes += f'<text x="540" y="276">{most:.3f}</text><text x="20" y="265">0 %</text><text x="5" y="28">100 %</text>'
    frame = 'viewBox="0 0 760 300" width="760" font-size="13" role="img" aria-label="visibility against protection"'
    return f"<svg {frame}>{axes}{marks}</svg>"


def _free_place(x: float, y: float, width: float, taken: list[tuple[float, float, float]]) -> float:
    """How high a label that begins at x can stand, as near to y as those that are there leave room."""
    heights = [ty for tx, ty, wide in taken if tx - width < x < tx + wide]
    places = [place for step in range(37) for place in (y - 7 * step, y + 7 * step) if 12 <= place <= 256]
    return next((place for place in places if all(abs(place - ty) >= 13 for ty in heights)), y)


def _costs(report: Report) -> str:
    rows = "".join(f"<tr><td>{html.escape(arm)}</td><td>{value:.1f}</td></tr>" for arm, value in report.seconds.items())
    places = "".join(f"<li>{html.escape(row.arm)}: {_percent(row.success)} %</li>" for row in report.ranking)
    ranking = f"<h2>Ranking by the worst case</h2><ol>{places}</ol>" if places else ""
    return ranking + (
        f"<h2>Cost</h2><table><tr><th>arm</th><th>seconds a picture</th></tr>{rows}</table>" if rows else ""
    )
