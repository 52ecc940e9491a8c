"""How far the embedded students agree with the published models they were distilled from, on art neither has seen."""

import argparse
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from pydantic import Field
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from cloak.errors import ModelError, UsageError
from cloak.objectives import DecodedUntargeted, EncoderUntargeted, Objective
from cloak.surrogates import Surrogate, TinyAutoencoder, load_surrogate
from cloak.surrogates.inspection import file_sha256
from cloak_eval.benchmarks.results import Provenance, Record, provenance, write_json
from cloak_eval.teachers import load_vaelight

__all__ = ["PAIRS", "AgreementReport", "Comparison", "PairAgreement", "add_parser", "compare", "run"]

_SD1_FACTOR = 0.18215  # from the encoder's units to the denoiser's, as the student puts them out
_VAELIGHT = "vaelight_sd1_encoder.safetensors"
_NOISE = 2 / 255  # standard deviation; at the original itself the objectives have no slope
_SEED = 11
_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp"})


class Comparison(Record):
    """Student against teacher on one picture; null where a model cannot do it."""

    picture: str
    latent_correlation: float = Field(description="Pearson, over all values of the latent.")
    latent_r2: float = Field(description="Share of the variance of the teacher's latent that the student's explains.")
    psnr_student: float | None = Field(description="Decibels, the student's round trip against the picture.")
    psnr_teacher: float | None = Field(description="Decibels, the teacher's round trip against the picture.")
    psnr_between: float | None = Field(description="Decibels, the two round trips against each other.")
    gradient_cosine: float = Field(description="Between the input gradients of the objective; unrelated models give 0.")


class PairAgreement(Record):
    """One student and its teacher over all pictures; without rows when a model is missing, as `error` says."""

    student: str
    teacher: str
    student_sha256: str | None = None
    teacher_sha256: str | None = None
    objective: str
    note: str = ""
    error: str | None = None
    medians: dict[str, float | None] = Field(default_factory=dict)
    rows: list[Comparison] = Field(default_factory=list)


class AgreementReport(Record):
    """The result file."""

    provenance: Provenance
    side: int = Field(description="Pixels; centre squares of pictures whose short side was resized to this.")
    noise: float = Field(description="Standard deviation of the noise at which gradients were taken, [0, 1] units.")
    seed: int
    pairs: list[PairAgreement]


@dataclass(frozen=True)
class Pair:
    """A student, how to load its teacher, and what their gradients are compared on."""

    student: str
    teacher: str
    load_teacher: Callable[[Path], Surrogate]
    objective: type[Objective]
    note: str = ""


class _ToSigned(nn.Module):
    """[0, 1] to [-1, 1]."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 * x - 1


def load_sd1_teacher(folder: Path) -> Surrogate:
    """VAElight as a surrogate; its latent is brought to the denoiser's units.

    Raises:
        ModelError: its file is missing.
    """
    path = folder / _VAELIGHT
    if not path.is_file():
        raise ModelError(f"There is no {_VAELIGHT} in {folder}.")
    level = nn.Sequential(_ToSigned(), load_vaelight(folder))
    teacher = TinyAutoencoder([level], None, name="vaelight", family="sd1", factor=_SD1_FACTOR)
    teacher.sha256 = file_sha256(path)
    return teacher


PAIRS = (
    Pair("tiny-flux2", "taef2", load_surrogate, DecodedUntargeted),
    Pair(
        "tiny-sd1",
        "vaelight",
        load_sd1_teacher,
        EncoderUntargeted,
        note="the teacher is itself a coarse student of Stable Diffusion 1's encoder",
    ),
)


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the subcommand `agreement`."""
    parser = subparsers.add_parser("agreement", help="embedded students against the models they stand for")
    parser.add_argument("--art", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--weights", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--limit", type=int, metavar="N", help="pictures to use, spread over the folder")
    parser.add_argument("--side", type=int, default=256, metavar="PIXELS")
    parser.add_argument("--out", type=Path, default=Path("eval/results/agreement.json"), metavar="FILE")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Compare every pair on every picture, write the report and show the medians; 1 when a model is missing."""
    paths = _pictures_below(options.art, options.limit)
    pairs = [_agreement(pair, options.weights, options.art, paths, options.side) for pair in PAIRS]
    report = AgreementReport(provenance=provenance(), side=options.side, noise=_NOISE, seed=_SEED, pairs=pairs)
    write_json(report, options.out)
    console = Console(highlight=False, markup=False, soft_wrap=True)
    console.print(_table(pairs), soft_wrap=False)
    failed = [pair for pair in pairs if pair.error is not None]
    for pair in failed:
        console.print(f"{pair.student} was not compared: {pair.error}", style="red")
    return int(bool(failed))


def _pictures_below(folder: Path, limit: int | None) -> list[Path]:
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES)
    if not paths:
        raise UsageError(f"There are no pictures below {folder}; name a folder of art with --art.")
    count = min(len(paths), limit or len(paths))
    return [paths[(2 * index + 1) * len(paths) // (2 * count)] for index in range(count)]


def _agreement(pair: Pair, weights: Path, art: Path, paths: Sequence[Path], side: int) -> PairAgreement:
    record = PairAgreement(
        student=pair.student, teacher=pair.teacher, objective=pair.objective.__name__, note=pair.note
    )
    try:
        student, teacher = load_surrogate(pair.student), pair.load_teacher(weights)
    except ModelError as error:
        return record.model_copy(update={"error": str(error).replace(str(weights), "the weights folder")})
    rows = [
        compare(student, teacher, picture, objective=pair.objective, name=path.relative_to(art).as_posix())
        for path, picture in _squares(paths, side)
    ]
    hashes = {"student_sha256": student.sha256, "teacher_sha256": teacher.sha256}
    return record.model_copy(update={**hashes, "medians": _medians(rows), "rows": rows})


def _squares(paths: Sequence[Path], side: int) -> Iterator[tuple[Path, Tensor]]:
    """Each picture's centre square, (1, 3, side, side)."""
    for path in paths:
        with Image.open(path) as image:
            square = ImageOps.fit(image.convert("RGB"), (side, side), Image.Resampling.BICUBIC)
        yield path, torch.from_numpy(np.array(square)).permute(2, 0, 1)[None] / 255


def compare(
    student: Surrogate, teacher: Surrogate, x: Tensor, *, objective: type[Objective], name: str = ""
) -> Comparison:
    """Measure one picture.

    Args:
        student: the embedded model.
        teacher: what it stands for; of the same latent shape.
        x: the picture, (1, 3, H, W), [0, 1].
        objective: whose input gradients are compared.
        name: of the picture.
    """
    with torch.no_grad():
        ours, theirs = student.encode(x), teacher.encode(x)
        decode = all("decode" in model.capabilities for model in (student, teacher))
        seen, seen_theirs = (model.see(x).clamp(0, 1) if decode else None for model in (student, teacher))
    return Comparison(
        picture=name,
        latent_correlation=_cosine(ours - ours.mean(), theirs - theirs.mean()),
        latent_r2=1 - float((ours - theirs).pow(2).sum() / (theirs - theirs.mean()).pow(2).sum()),
        psnr_student=_psnr(seen, x),
        psnr_teacher=_psnr(seen_theirs, x),
        psnr_between=_psnr(seen, seen_theirs),
        gradient_cosine=_cosine(*(_gradient(objective(model, x), x) for model in (student, teacher))),
    )


def _gradient(loss: Objective, x: Tensor) -> Tensor:
    """Gradient of a loss at a slightly noisy copy of its original."""
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(_SEED))
    noisy = (x + _NOISE * noise).clamp(0, 1).requires_grad_()
    return torch.autograd.grad(loss(noisy).sum(), noisy)[0]


def _cosine(x: Tensor, y: Tensor) -> float:
    return float(nn.functional.cosine_similarity(x.flatten().double(), y.flatten().double(), dim=0))


def _psnr(x: Tensor | None, y: Tensor | None) -> float | None:
    if x is None or y is None:
        return None
    return float(-10 * (x - y).pow(2).mean().clamp_min(1e-12).log10())


def _medians(rows: Sequence[Comparison]) -> dict[str, float | None]:
    fields = [name for name in Comparison.model_fields if name != "picture"]
    columns = {name: [getattr(row, name) for row in rows] for name in fields}
    return {name: None if None in values else statistics.median(values) for name, values in columns.items()}


def _table(pairs: Sequence[PairAgreement]) -> Table:
    compared = [pair for pair in pairs if pair.rows]
    table = Table("median", *(f"{pair.student} / {pair.teacher}" for pair in compared), box=None)
    for name in Comparison.model_fields:
        if name != "picture":
            figures = [pair.medians[name] for pair in compared]
            table.add_row(name, *("-" if figure is None else f"{figure:.3f}" for figure in figures))
    return table
