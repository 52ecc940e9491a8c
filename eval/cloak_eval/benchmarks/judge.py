"""How good the judge of styles is on pictures it has not seen: clean crops, and what a model gives back of them.

It is trained as `cloak eval run` trains it, and measured by cross-validation over pictures. Each seed takes other
crops and divides the pictures otherwise.
"""

import argparse
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import platformdirs
from pydantic import Field
from rich.console import Console
from torch import Tensor

from cloak.errors import UsageError
from cloak_eval.benchmarks.results import Provenance, Record, provenance, write_json
from cloak_eval.experiments.arms import posted
from cloak_eval.experiments.judging import train_judge
from cloak_eval.experiments.store import Store
from cloak_eval.mimics import load_pipeline
from cloak_eval.mimics.pipelines import pipeline_folder, pipeline_sha256, resolution_of
from cloak_eval.mimics.training_set import opaque, picture_files

__all__ = ["JudgeResult", "JudgeRow", "add_parser", "run"]


class JudgeRow(Record):
    """One gallery and one seed."""

    gallery: str = Field(description="Art folders whose artists it can answer with, joined by +.")
    seed: int = Field(description="Of the crops and the folds.")
    report: dict[str, Any] = Field(description="See `cloak_eval.metrics.ClassifierReport`.")


class JudgeResult(Record):
    """Means over the seeds by gallery, and what they come from."""

    summary: dict[str, dict[str, float]]
    model: str = Field(description="Whose mimics are judged.")
    model_sha256: str
    side: int = Field(description="Of the crops, pixels.")
    crops: int = Field(description="Of each picture.")
    posted_side: int = Field(description="Short side that pictures were reduced to before, pixels.")
    provenance: Provenance
    rows: list[JudgeRow]


def add_parser(subparsers: Any) -> None:
    """The subcommand `judge`."""
    parser = subparsers.add_parser("judge", help="accuracy of the style classifier", description=__doc__)
    parser.add_argument("--art", type=Path, nargs="+", required=True, help="folders of artists' folders; see --out")
    parser.add_argument("--model", default="miniature", help="whose mimics are judged")
    parser.add_argument("--crops", type=int, default=4, help="of each picture")
    parser.add_argument("--posted-side", type=int, default=256, help="short side that pictures are reduced to")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument(
        "--work",
        type=Path,
        default=platformdirs.user_cache_path("artcloak") / "eval" / "shared",
        help="where features are kept; may be deleted",
    )
    parser.add_argument("--out", type=Path, required=True, help="result for the first folder, and for all together")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Train and measure the judge on the first folder and on all together, for every seed."""
    pipe, folder = load_pipeline(options.model), pipeline_folder(options.model)
    weights, store = pipeline_sha256(folder), Store(options.work)
    rows = []
    for art in ([options.art[0]], options.art)[: len(options.art)]:
        gallery = _gallery(art, options.posted_side)
        for seed in options.seeds:
            judge = train_judge(gallery, pipe, store, weights=weights, crops=options.crops, seed=seed)
            name = "+".join(path.resolve().name for path in art)
            rows.append(JudgeRow(gallery=name, seed=seed, report=dict(vars(judge.report))))
    result = JudgeResult(
        summary=_summary(rows),
        model=options.model,
        model_sha256=weights,
        side=resolution_of(pipe),
        crops=options.crops,
        posted_side=options.posted_side,
        provenance=provenance(),
        rows=rows,
    )
    write_json(result, options.out)
    Console(highlight=False, markup=False, soft_wrap=True).print(result.summary)


def _gallery(art: Sequence[Path], side: int) -> Mapping[str, Sequence[Tensor]]:
    folders = [path for folder in art for path in sorted(folder.iterdir()) if path.is_dir()]
    if len({path.name for path in folders}) != len(folders):
        raise UsageError("Two of the art folders hold an artist of the same name; rename one.")
    return {path.name: [posted(opaque(file), side) for file in picture_files(path)] for path in folders}


def _summary(rows: Sequence[JudgeRow]) -> dict[str, dict[str, float]]:
    """Mean accuracies over the seeds, and the lowest of them."""
    summary = {}
    for gallery in dict.fromkeys(row.gallery for row in rows):
        reports = [row.report for row in rows if row.gallery == gallery]
        clean = [report["accuracy"] for report in reports]
        artists = list(reports[0]["by_artist"])
        summary[gallery] = {
            "artists": len(artists),
            "chance": 1 / len(artists),
            "clean_lowest": min(clean),
            **{name: statistics.mean(report["views"][name] for report in reports) for name in reports[0]["views"]},
            **{name: statistics.mean(report["by_artist"][name] for report in reports) for name in artists},
        }
    return summary
