"""An artist's own pictures, clean against cloaked: a mimic of each, a blind quiz, and a verdict in plain words."""

import base64
import html
import io
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from cloak.errors import UsageError
from cloak.image import write_file
from cloak.surrogates import installed
from cloak_eval.countermeasures.coding import as_image
from cloak_eval.experiments import CellEvent, CellResult, CellStep, Experiment, watch_experiment
from cloak_eval.experiments.sheets import COLUMNS, SIDE
from cloak_eval.metrics import Interval
from cloak_eval.mimics import MIMICS, load_pipeline
from cloak_eval.mimics.training_set import picture_files
from cloak_eval.report import to_html
from cloak_eval.summary import Report, build_report, is_bound, read_results

__all__ = [
    "LEAST",
    "SUBJECTS",
    "Verdict",
    "best_model",
    "plan_selftest",
    "run_selftest",
    "verdict",
    "verdict_of",
    "watch_selftest",
    "write_page",
]

LEAST = 8  # pictures
SUBJECTS = ("a cat", "a house", "a tree", "a fish", "a boat", "a flower", "a mountain", "a bird")
_MODELS_OWN = "the-model-itself"
# With the usual rate, made for full-size models, no mimic on the miniature learns anything (docs/proof.md).
_SETTINGS: dict[str, dict[str, dict[str, Any]]] = {
    "miniature": {"lora": {"steps": 100, "batch": 16, "crops": 8, "learning_rate": 0.002, "guidance": 2.0}}
}


def best_model() -> str:
    """The largest complete pipeline on this machine, else the embedded one."""
    here = installed()
    return next((name for name in ("sdxl", "sd21", "sd15") if name in here), "miniature")


def plan_selftest(
    folder: Path, *, mimic: str = "lora", model: str | None = None, others: Path | None = None
) -> Experiment:
    """The experiment that answers for one artist.

    Args:
        folder: the artist's pictures, at least eight; half of them is stolen, half is what drawings are compared with.
        mimic: how they are imitated.
        model: what is fine-tuned; the best one here by default.
        others: folder of other artists' folders for the judge to choose among. Without it the choice is between the
            artist and what the model draws by itself.

    Raises:
        UsageError: there are too few pictures.
    """
    files = picture_files(folder)
    if len(files) < LEAST:
        raise UsageError(f"{folder} holds {len(files)} pictures; a self-test needs at least {LEAST}.")
    names = (
        sorted(p.name for p in others.iterdir() if p.is_dir() and p.name != folder.name) if others else [_MODELS_OWN]
    )
    chosen = model or best_model()
    return Experiment(
        name="selftest",
        model=chosen,
        mimic_settings=_SETTINGS.get(chosen, {}),
        artists=(folder.name,),
        also_judged=tuple(names),
        methods=("artcloak",),
        mimics=(MIMICS.get(mimic).name,),
        countermeasures=("none", "jpeg-75"),
        subjects=SUBJECTS,
        pictures=min(20, len(files) // 2),
        posted_side=512,
    )


def run_selftest(experiment: Experiment, folder: Path, out: Path, *, others: Path | None = None) -> Iterator[CellEvent]:
    """Run it, as a stream of events; going on where it stopped.

    Args:
        experiment: as planned.
        folder: the artist's pictures.
        out: results and intermediate pictures go there.
        others: as planned.
    """
    events = watch_selftest(experiment, folder, out, others=others)
    yield from (event for event in events if isinstance(event, CellEvent))


def watch_selftest(
    experiment: Experiment, folder: Path, out: Path, *, others: Path | None = None
) -> Iterator[CellStep | CellEvent]:
    """The same with every step within the cells."""
    if others is None:
        others = out / "work" / "others"
        _draw_untrained(experiment.model, others / _MODELS_OWN)
    yield from watch_experiment(experiment, art=[folder.parent, others], results=out, work=out / "work")


def _draw_untrained(model: str, folder: Path) -> None:
    """What the model draws without having seen the artist."""
    if folder.is_dir() and len(list(folder.glob("*.png"))) >= LEAST:
        return
    folder.mkdir(parents=True, exist_ok=True)
    drawn = MIMICS.get("none").value().draw(load_pipeline(model), "an artist", SUBJECTS, seed=1)
    for index, picture in enumerate(drawn):
        buffer = io.BytesIO()
        as_image(picture[None]).save(buffer, "PNG")
        write_file(buffer.getvalue(), folder / f"{index:02}.png", overwrite=True)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a self-test found; `str()` says it in words.

    Args:
        gain: what cloaking adds to the share of drawings without the artist's style, in the worst case tried; None
            where the test says nothing.
        drawings: how many it rests on.
        doubt: why it says nothing.
    """

    gain: Interval | None
    drawings: int = 0
    doubt: str = ""

    def __str__(self) -> str:
        if self.gain is None:
            return f"Inconclusive: {self.doubt}. This says nothing about how well your pictures are protected."
        low, high = 100 * self.gain.low, 100 * self.gain.high
        change = f"Cloaking changes the share of drawings without your style by {100 * self.gain.value:+.0f} points"
        sure = "that is more than chance" if low > 0 else "that can be chance"
        return (
            f"{change} in the worst case tried (95 % interval {low:+.0f} to {high:+.0f}); {sure}. "
            f"{self.drawings} drawings were judged by a program. "
            "Other models and other attacks give other results; this is no promise of safety."
        )


def verdict(report: Report) -> Verdict:
    """What the figures say, with their uncertainty."""
    if report.inconclusive or not report.ranking:
        return Verdict(None, doubt=next(iter(report.inconclusive.values()), "a part of it failed"))
    row = next(row for row in report.ranking if row.arm.startswith("artcloak"))
    return Verdict(row.gain, row.success.n)


def verdict_of(out: Path) -> Verdict:
    """The verdict of a finished self-test in `out`."""
    return verdict(build_report([result for _, result in read_results([out / "selftest"])]))


def write_page(out: Path) -> Path:
    """The page of a finished self-test in `out`: verdict, quiz, figures."""
    found = read_results([out / "selftest"])
    report = build_report([result for _, result in found])
    sheets = {file.stem: sheet.read_bytes() for file, _ in found if (sheet := file.with_suffix(".jpg")).is_file()}
    head, _, rest = to_html(report, sheets).partition("<h1>")
    page = (
        f"{head}<h1>Self-test</h1><p><strong>{html.escape(str(verdict(report)))}</strong></p>{_quiz(found)}<h1>{rest}"
    )
    write_file(page.encode(), out / "selftest.html", overwrite=True)
    return out / "selftest.html"


def _quiz(found: Sequence[tuple[Path, CellResult]]) -> str:
    """Pairs in hidden order with the two questions of Hönig et al. 2024 (arXiv 2406.12027)."""
    sheets = {
        result.cell.method: file.with_suffix(".jpg")
        for file, result in found
        if not is_bound(result) and result.cell.countermeasure == "none" and result.status == "done"
    }
    if not {"clean", "artcloak"} <= sheets.keys():
        return ""
    order, pairs = random.Random(0), ""
    for column, subject in enumerate(SUBJECTS[:COLUMNS]):
        arms = ["clean", "artcloak"]
        order.shuffle(arms)
        shown = "".join(f'<img alt="" src="{_drawn(sheets[arm], column)}"> ' for arm in arms)
        answer = "The left one" if arms[0] == "clean" else "The right one"
        pairs += f"<figure>{shown}<figcaption>{html.escape(subject)}: Which is more in your style? Which is better? "
        pairs += (
            f"<details><summary>Answer</summary>{answer} learnt from clean pictures.</details></figcaption></figure>"
        )
    return f"<h2>Quiz</h2><p>One of each pair learnt from your clean, the other from your cloaked pictures.</p>{pairs}"


def _drawn(sheet: Path, column: int) -> str:
    """One drawing, the last row of a cell's sheet, as a data address."""
    image = Image.open(sheet)
    buffer = io.BytesIO()
    top = image.height - SIDE
    image.crop((column * SIDE, top, (column + 1) * SIDE, top + SIDE)).save(buffer, "JPEG", quality=92)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
