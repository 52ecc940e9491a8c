"""From result files to one page that needs no network, and the same in Markdown."""

import base64
import html
from collections.abc import Iterator, Sequence
from pathlib import Path

from cloak.image import write_file
from cloak_eval.experiments.config import CLEAN, NOISE
from cloak_eval.metrics import METRICS, Interval
from cloak_eval.summary import BOUND_NAMES, WORST, Report, build_report, read_results

__all__ = ["to_html", "to_markdown", "write_report"]


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


def _arms(report: Report) -> list[str]:
    """Controls first."""
    names = {row.arm for row in report.rows}
    return sorted(names, key=_controls_first)


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
    lines += [
        f"Without fine-tune, {1 - value:.0%} of the drawings are attributed to {artist}."
        for artist, value in report.untrained.items()
    ]
    lines += [
        f"Copies, which are crops of the stolen pictures as the model's autoencoder gives them back, are attributed to "
        f"{artist} in {1 - value:.0%}."
        for artist, value in report.copied.items()
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
    for title, (heads, *rows) in _measure_tables(report):
        lines += ["", f"## {title}", "", f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
        lines += [f"| {' | '.join(row)} |" for row in rows]
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


_TABLES = {True: "Visibility and detectability of the published pictures", False: "The drawings, without an attack"}
_CHANGES = "Change of the drawings against those of clean pictures, paired by prompt and seed"


def _measure_tables(report: Report) -> Iterator[tuple[str, list[list[str]]]]:
    """Title and lines of each table; arms go down; metrics go across, with what is good for the artist."""
    if report.called:
        heads = sorted({who for row in report.called.values() for who in row})
        rows = [[name, *(f"{100 * row.get(who, 0):.0f} %" for who in heads)] for name, row in report.called.items()]
        yield "Whom the judge names, from clean pictures", [["drawn by", *heads], *rows]
    tables = {title: [m for m in report.measures if m.of_pictures == which] for which, title in _TABLES.items()}
    for title, some in {**tables, _CHANGES: report.changes}.items():
        figures = {(each.metric, each.arm): each.figure for each in some}
        names, arms = sorted({each.metric for each in some}), sorted({each.arm for each in some}, key=_controls_first)
        if names:
            yield title, [["arm", *map(_with_direction, names)], *(_arm_line(arm, names, figures) for arm in arms)]


def _with_direction(name: str) -> str:
    better = {True: " (higher is better)", False: " (lower is better)", None: ""}
    return name + better[METRICS.get(name).higher_is_better]


def _arm_line(arm: str, names: list[str], figures: dict[tuple[str, str], Interval]) -> list[str]:
    found = [figures.get((name, arm)) for name in names]
    return [arm, *("" if x is None else f"{x.value:.3g} ({x.low:.3g} to {x.high:.3g})" for x in found)]


def _controls_first(arm: str) -> tuple[bool, bool, bool, str]:
    return arm not in BOUND_NAMES.values(), arm != CLEAN, not arm.startswith(NOISE), arm


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
