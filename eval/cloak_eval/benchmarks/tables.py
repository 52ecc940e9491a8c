"""The Markdown tables of README and docs, from the result files: no figure is typed by hand."""

import argparse
import statistics
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from cloak.methods import METHODS
from cloak_eval.benchmarks.coherence import CoherenceResult
from cloak_eval.benchmarks.effect import EffectResult
from cloak_eval.benchmarks.judge import JudgeResult
from cloak_eval.benchmarks.methods import MethodsResult
from cloak_eval.benchmarks.objectives import ObjectivesResult
from cloak_eval.benchmarks.speed import SpeedReport

__all__ = [
    "add_parser",
    "coherence_table",
    "confusion_table",
    "effect_by_artist",
    "effect_by_picture",
    "effect_summary",
    "judge_table",
    "methods_table",
    "objectives_table",
    "recipes_table",
    "run",
    "speed_table",
]

_REMAINS = {
    "jpeg 75": "JPEG 75",
    "half size and back": "half size",
    "blur sigma 1": "blur sigma 1",
    "noise sigma 0.03": "noise sigma 0.03",
    "crop 3 px": "crop 3 px",
    "resize to 7/8": "resize to 7/8",
}
_AIMS = {
    "10 times or more": ("times_noise", 10),
    "3 or more": ("times_noise", 3),
    "amplified 4 or more": ("amplification", 4),
}
_KEPT = ("jpeg 75", "half size and back", "blur sigma 1")  # 65 % of the seen shift is to remain after each
_Effect = dict[str, Any]


def add_parser(subparsers: Any) -> None:
    """Add the subcommand `tables`."""
    parser = subparsers.add_parser("tables", help="print result files as the tables of README and docs")
    parser.add_argument(
        "files", type=Path, nargs="+", help="effect-*, methods-*, judge, coherence, objectives and speed.json"
    )
    parser.add_argument("--pictures", action="store_true", help="effect-*: a table with every picture as well")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Print the tables of every file."""
    for file in options.files:
        sys.stdout.write("\n\n".join([file.name, *_tables(file, pictures=options.pictures)]) + "\n\n")


def _tables(file: Path, *, pictures: bool) -> Iterator[str]:
    if file.name.startswith("speed"):
        yield speed_table(SpeedReport.model_validate_json(file.read_bytes()))
        return
    if file.name.startswith("methods"):
        methods = MethodsResult.model_validate_json(file.read_bytes())
        yield recipes_table(methods)
        yield methods_table(methods)
        return
    if file.name.startswith("judge"):
        judge = JudgeResult.model_validate_json(file.read_bytes())
        yield judge_table(judge)
        yield from (confusion_table(row.report) for row in judge.rows if row.seed == judge.rows[0].seed)
        return
    if file.name.startswith("coherence"):
        yield coherence_table(CoherenceResult.model_validate_json(file.read_bytes()))
        return
    if file.name.startswith("objectives"):
        yield objectives_table(ObjectivesResult.model_validate_json(file.read_bytes()))
        return
    result = EffectResult.model_validate_json(file.read_bytes())
    yield effect_summary(result)
    for model in _models(result):
        yield model
        yield effect_by_artist(result, model)
        if pictures:
            yield effect_by_picture(result, model)


def objectives_table(result: ObjectivesResult) -> str:
    """One row for each objective, with medians."""
    columns = [(kind, name) for name in ("seen_shift", "pull") for kind in ("student", "teacher")]
    heads = [head for kind, name in columns for head in (f"{name.replace('_', ' ')}, {kind}", "noise")]
    lines = [f"| objective | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
    for objective, medians in result.summary.items():
        cells = [f"{medians[kind][each]:.4f}" for kind, name in columns for each in (name, f"{name}_noise")]
        lines.append(f"| `{objective}` | {' | '.join(cells)} |")
    return "\n".join(lines)


def effect_summary(result: EffectResult) -> str:
    """Medians with extremes over the pictures, one line for each model that decodes."""
    groups = [(model, [effect for _, effect in _effects(result, model)]) for model in _models(result)]
    return _effect_table("seen through", groups)


def effect_by_artist(result: EffectResult, model: str) -> str:
    """The same for the pictures of each artist, as one model sees them."""
    groups: dict[str, list[_Effect]] = {}
    for name, effect in _effects(result, model):
        groups.setdefault(name.partition("/")[0], []).append(effect)
    return _effect_table("artist", list(groups.items()))


def _effect_table(kind: str, groups: list[tuple[str, list[_Effect]]]) -> str:
    """One line for each named group of effects, with how many of it reach the project's aims."""
    left = _measured([effect for _, effects in groups for effect in effects])
    kept = [name for name in _KEPT if name in left]
    heads = [kind, "pictures", "times noise", "amplification", *_AIMS, *(_REMAINS[name] for name in left)]
    heads += [f"65 % or more left: {' / '.join(_REMAINS[name] for name in kept)}"] if kept else []
    lines = [_line(heads), _rule(len(heads))]
    for name, effects in groups:
        figures = [_spread(effects, "times_noise"), _spread(effects, "amplification")]
        reached = [str(sum(effect["sizes"][0][key] >= least for effect in effects)) for key, least in _AIMS.values()]
        remains = [_percent(effect["remains"].get(key) for effect in effects) for key in left]
        counts = [sum(effect["remains"].get(key, 0) >= 0.65 for effect in effects) for key in kept]
        remains += (
            [" / ".join(map(str, counts)) if any(effect["remains"] for effect in effects) else ""] if kept else []
        )
        lines.append(_line([name, str(len(effects)), *figures, *reached, *remains]))
    return "\n".join(lines)


def effect_by_picture(result: EffectResult, model: str) -> str:
    """One line for each picture, at the first size."""
    effects = _effects(result, model)
    left = _measured([effect for _, effect in effects])
    heads = ["picture", "LPIPS", "seen shift", "noise", "times noise", "amplification", "after colour match"]
    heads += [_REMAINS[name] for name in left]
    lines = [_line(heads), _rule(len(heads))]
    for name, effect in effects:
        size = effect["sizes"][0]
        shifts = [size["cloak"]["low_frequency"], size["noise"]["low_frequency"]]
        figures = [f"{size['lpips']:.4f}", *(f"{shift:.4f}" for shift in shifts), f"{size['times_noise']:.1f}"]
        figures += [f"{size['amplification']:.1f}", f"{size['cloak']['after_colour_match']:.4f}"]
        lines.append(_line([name, *figures, *(_percent([effect["remains"].get(key)]) for key in left)]))
    return "\n".join(lines)


def speed_table(report: SpeedReport) -> str:
    """Seconds and memory by size and effort."""
    lines = [_line(["effort", "megapixels", "seconds", "seconds per megapixel", "peak memory"]), _rule(5)]
    for row in report.rows:
        if row.seconds is not None and row.peak_memory_bytes is not None and row.seconds_per_megapixel is not None:
            memory = f"{row.peak_memory_bytes / 1e9:.1f} GB"
            figures = [f"{row.megapixels:.0f}", f"{row.seconds:.0f}", f"{row.seconds_per_megapixel:.1f}", memory]
            lines.append(_line([f"`{row.effort}`", *figures]))
    return "\n".join(lines)


def recipes_table(result: MethodsResult) -> str:
    """Every recipe: what it is made of, what its paper says, and what one step cost in this run."""
    lines = [_line(["method", "parts", "published at", "reference", "seconds a step"]), _rule(5)]
    for entry in METHODS:
        paper, row = entry.value.published, result.summary.get(entry.name)
        numbers = "" if paper is None else f"{paper.linf:g}/255, {paper.steps} x {paper.step:g}"
        note = f" ({paper.note})" if paper and paper.note else ""
        cost = f"{row['seconds'] / result.key['steps']:.2f}" if row and entry.requires else ""
        cells = [f"`{entry.name}`", paper.parts if paper else entry.summary, numbers + note, entry.reference or "ours"]
        lines.append(_line([*cells, cost or ("not measured" if entry.requires else "no steps")]))
    return "\n".join(lines)


def methods_table(result: MethodsResult) -> str:
    """Medians by method; behind each figure, in brackets, that of noise with the same LPIPS."""
    heads = ["method", "LPIPS", "seen shift", "pull", "denoising loss", "text shift", "prompt shift, 1e-3"]
    heads += ["seconds", "memory"]
    lines = [_line(heads), _rule(len(heads))]
    for name, row in result.summary.items():
        pairs = [_pair(row, "seen_shift", "{:.4f}"), _pair(row, "pull", "{:.3f}")]
        pairs += [_pair(row, "denoising_change", "{:+.1%}"), _pair(row, "text_shift", "{:+.3f}")]
        pairs += [_pair({key: 1000 * value for key, value in row.items()}, "prompt_shift", "{:+.2f}")]
        cost = [f"{row['seconds']:.1f}", f"{row['peak_memory_bytes'] / 1e9:.2f} GB"]
        lines.append(_line([f"`{name}`", f"{row['lpips']:.4f}", *pairs, *cost]))
    return "\n".join(lines)


def coherence_table(result: CoherenceResult) -> str:
    """What is left in a portfolio's average, by method and direction, in each space."""
    spaces = [name for name in next(iter(result.summary.values())) if name != "visible"]
    heads = ["method, direction", *(f"{space}: {figure}" for space in spaces for figure in ("kept", "average"))]
    lines = [_line(heads), _rule(len(heads))]
    for name, row in result.summary.items():
        cells = [cell for space in spaces for cell in (f"{row[space]['kept']:.2f}", f"{row[space]['average']:.3f}")]
        lines.append(_line([name, *cells]))
    return "\n".join(lines)


def judge_table(result: JudgeResult) -> str:
    """Accuracy by gallery and seed; brackets hold the 95 % interval over pictures."""
    heads = ["artists", "seed", "pictures", "crops", "by chance", *result.rows[0].report["views"]]
    lines = [_line(heads), _rule(len(heads))]
    for row in result.rows:
        report = row.report
        chance, *shares = (
            100 * x for x in (1 / len(report["by_artist"]), report["accuracy"], report["low"], report["high"])
        )
        clean = "{:.1f} % ({:.1f} to {:.1f})".format(*shares)
        names = f"{len(report['by_artist'])} ({row.gallery})"
        counts = [str(row.seed), str(report["held_out_pictures"]), str(report["crops"])]
        others = [f"{100 * share:.1f} %" for name, share in report["views"].items() if name != "clean"]
        lines.append(_line([names, *counts, f"{chance:.0f} %", clean, *others]))
    return "\n".join(lines)


def confusion_table(report: dict[str, Any]) -> str:
    """Clean crops by true artist (lines) and answer (columns), and how many are right in each view."""
    artists = list(report["by_artist"])
    heads = ["clean crops of", *(f"called {name}" for name in artists), *(f"right, {name}" for name in report["views"])]
    lines = [_line(heads), _rule(len(heads))]
    for at, (name, counts) in enumerate(zip(artists, report["confusions"]["clean"], strict=True)):
        rows = [counted[at] for counted in report["confusions"].values()]
        shares = [f"{100 * row[at] / sum(row):.0f} %" for row in rows]
        lines.append(_line([name, *map(str, counts), *shares]))
    return "\n".join(lines)


def _pair(row: dict[str, float], key: str, shown: str) -> str:
    if key not in row:
        return "not measured"
    return f"{shown.format(row[key])} ({shown.format(row[f'{key}_noise'])})"


def _models(result: EffectResult) -> list[str]:
    """Names of the models that decode."""
    found = {e["model"]: None for row in result.rows.values() for e in row["effects"] if e["sizes"]}
    return list(found)


def _effects(result: EffectResult, model: str) -> list[tuple[str, _Effect]]:
    rows = sorted(result.rows.items())
    return [(name, effect) for name, row in rows for effect in row["effects"] if effect["model"] == model]


def _measured(effects: list[_Effect]) -> list[str]:
    """What was done to any of the pictures to see what remains."""
    return [name for name in _REMAINS if any(name in effect["remains"] for effect in effects)]


def _spread(effects: list[_Effect], key: str) -> str:
    return _of([effect["sizes"][0][key] for effect in effects], lambda value: f"{value:.1f}")


def _percent(shares: Iterable[float | None]) -> str:
    known = [share for share in shares if share is not None]
    return _of(known, lambda value: f"{100 * value:.0f}") + " %" if known else "not measured"


def _of(values: list[float], show: Callable[[float], str]) -> str:
    """The median, and the extremes where there is more than one."""
    if len(values) == 1:
        return show(values[0])
    return f"{show(statistics.median(values))} ({show(min(values))} to {show(max(values))})"


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _rule(columns: int) -> str:
    return "|" + "---|" * columns
