"""Which objective moves what models see: all of them at the same visibility, through the same transforms.

Each is run on the embedded autoencoder and measured there and on the published teacher, beside noise of the same LPIPS.
"""

import argparse
import statistics
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cloak.attacks import PGD
from cloak.budgets import STRENGTHS, PerceptualBudget, round_to_8_bits
from cloak.effect import measure_effect
from cloak.effort import EFFORTS
from cloak.image import read_picture
from cloak.methods import METHODS
from cloak.objectives import OBJECTIVES
from cloak.perceptual import lpips
from cloak.surrogates import Surrogate, load_surrogate
from cloak.targets import choose_target
from cloak.transforms import ExpectationOverTransforms
from cloak.views import resized, scale_for
from cloak_eval.benchmarks.results import Provenance, Record, provenance, write_json

__all__ = ["add_parser", "run"]

_LEVEL = STRENGTHS["balanced"]


class ObjectivesResult(Record):
    """Medians by objective and model, and the rows that they come from."""

    summary: dict[str, Any]
    provenance: Provenance
    rows: list[dict[str, Any]]


def add_parser(subparsers: Any) -> None:
    """The subcommand `objectives`."""
    parser = subparsers.add_parser("objectives", help="compare objectives at equal visibility", description=__doc__)
    parser.add_argument("--art", type=Path, required=True, help="folder of artists' folders")
    parser.add_argument("--weights", type=Path, required=True, help="folder with the published FLUX.2-class weights")
    parser.add_argument("--per-artist", type=int, default=2)
    parser.add_argument("--side", type=int, default=256, help="short side at which pictures are protected")
    parser.add_argument("--steps", type=int, default=EFFORTS["standard"].steps)
    parser.add_argument("--out", type=Path, required=True)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Every objective that needs no more than an autoencoder, on every picture."""
    student = load_surrogate("tiny-flux2").to("cpu", torch.bfloat16)
    teacher = load_surrogate(str(options.weights)).to("cpu", torch.bfloat16)
    artists = sorted(path for path in options.art.iterdir() if path.is_dir())
    pictures = [path for artist in artists for path in sorted(artist.glob("*.jpg"))[: options.per_artist]]
    possible = [entry.name for entry in OBJECTIVES if entry.value.requires <= student.capabilities]
    rows = []
    for path in pictures:
        x = read_picture(path).pixels
        x = round_to_8_bits(resized(x, scale_for(x, options.side)))
        rows += [_row(name, x, student, teacher, options.steps) | {"picture": path.stem} for name in possible]
    write_json(ObjectivesResult(summary=_summary(rows), provenance=provenance(), rows=rows), options.out)


def _row(name: str, x: Tensor, student: Surrogate, teacher: Surrogate, steps: int) -> dict[str, Any]:
    target = choose_target(x, "auto")
    generator = torch.Generator().manual_seed(0)
    method = METHODS.get("artcloak").value()
    transforms = method.transforms()
    loss = ExpectationOverTransforms(
        OBJECTIVES.get(name).value(student, x, target=target),
        [transform for transform, _ in transforms],
        probabilities=[chance for _, chance in transforms],
        generator=generator,
    )
    attack = PGD(_LEVEL.ball(x), config=method.optimiser(steps), generator=generator)
    cloaked = PerceptualBudget(_LEVEL.caps, metric=lpips("alex")).project(attack(x, loss), x)
    cloaked = (cloaked * 255).round() / 255
    row: dict[str, Any] = {"objective": name, "target": target.name}
    for label, surrogate in (("student", student), ("teacher", teacher)):
        effect = measure_effect(surrogate, x, cloaked, metric=lpips("alex"), target=target, battery="none")
        row[label] = effect.model_dump(exclude={"remains", "model"})
    return row


def _summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Medians over the pictures by objective and model."""
    summary: dict[str, Any] = {}
    for name in sorted({row["objective"] for row in rows}):
        mine = [row for row in rows if row["objective"] == name]
        summary[name] = {label: _medians([row[label] for row in mine]) for label in ("student", "teacher")}
    return summary


def _medians(effects: list[dict[str, Any]]) -> dict[str, float]:
    sizes = [effect["sizes"][0] for effect in effects]
    figures = {
        "lpips": [size["lpips"] for size in sizes],
        "seen_shift": [size["cloak"]["low_frequency"] for size in sizes],
        "seen_shift_noise": [size["noise"]["low_frequency"] for size in sizes],
        "after_colour_match": [size["cloak"]["after_colour_match"] for size in sizes],
        "texture": [size["cloak"]["texture"] for size in sizes],
        "amplification": [size["amplification"] for size in sizes],
        "pull": [effect["pull"] for effect in effects],
        "pull_noise": [effect["pull_noise"] for effect in effects],
        "style_towards_target": [effect["style_towards_target"] for effect in effects],
    }
    return {name: round(statistics.median(values), 5) for name, values in figures.items()}
