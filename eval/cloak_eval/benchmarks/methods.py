"""Every method at the same perceptual budget, on one model and a folder of art, beside noise of the same LPIPS.

Each method runs in a process of its own, which is what its memory is measured on. Finished pictures are kept in the
result file and skipped when the run is started again. A method that the model is not able for is left out.
"""

import argparse
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cloak.attacks import PGD
from cloak.budgets import STRENGTHS, PerceptualBudget, round_to_8_bits
from cloak.device import peak_memory
from cloak.effect import Comparison, noise_like
from cloak.image import read_picture
from cloak.methods import METHODS
from cloak.objectives import Denoising, FixedDraws, PromptContrast, TextContrast
from cloak.perceptual import lpips
from cloak.surrogates import Surrogate, load_surrogate
from cloak.targets import Target, choose_target
from cloak.targets.style_text import nearest_style, style_prompt
from cloak.transforms import ExpectationOverTransforms
from cloak.types import Strength
from cloak.views import resized, scale_for
from cloak_eval.benchmarks.results import Provenance, Record, provenance, write_json
from cloak_eval.processes import one_core_each

__all__ = ["MethodsResult", "add_parser", "cloaked_by", "run"]

_LEVELS = 8  # noise levels at which the denoising loss is compared


class MethodsResult(Record):
    """What a finished (or interrupted) run holds.

    Args:
        key: model and settings; rows are kept only while they stay the same.
        summary: medians by method.
        provenance: of the code and machine that wrote the file last.
        rows: by method and picture.
    """

    key: dict[str, Any]
    summary: dict[str, dict[str, float]]
    provenance: Provenance
    rows: dict[str, dict[str, Any]]


@dataclass(frozen=True)
class _Job:
    """One method on some pictures."""

    method: str
    model: str
    strength: Strength
    steps: int
    side: int
    pictures: tuple[tuple[str, Path], ...]


def add_parser(subparsers: Any) -> None:
    """The subcommand `methods`."""
    parser = subparsers.add_parser("methods", help="all methods at the same visibility", description=__doc__)
    parser.add_argument("--art", type=Path, required=True, help="folder of artists' folders")
    parser.add_argument(
        "--model", default="miniature", help="name or folder of the model that is attacked and measured"
    )
    parser.add_argument("--strength", default="balanced", choices=sorted(STRENGTHS))
    parser.add_argument("--steps", type=int, default=48)
    parser.add_argument("--side", type=int, default=128, help="short side at which pictures are protected")
    parser.add_argument("--per-artist", type=int, default=1)
    parser.add_argument("--methods", nargs="*", help="only these")
    parser.add_argument("--out", type=Path, required=True)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Every method that the model is able for, on every picture that is not finished."""
    surrogate = load_surrogate(options.model)
    settings = {name: getattr(options, name) for name in ("strength", "steps", "side")}
    key = settings | {"model": surrogate.name, "weights": _weights(surrogate)}
    rows = _finished(options.out, key)
    names = [entry.name for entry in METHODS if entry.requires <= surrogate.capabilities]
    paths = _pictures(options.art, options.per_artist)
    for name in options.methods or names:
        missing = tuple((key, path) for key, path in paths if f"{name} on {key}" not in rows)
        if not missing:
            continue
        job = _Job(name, options.model, pictures=missing, **settings)
        with one_core_each(1) as process:
            rows |= process.submit(_measure, job).result()
        record = MethodsResult(key=key, summary=_summary(rows), provenance=provenance(), rows=rows)
        write_json(record, options.out)


def _weights(surrogate: Surrogate) -> dict[str, str | None]:
    """sha256 of every part that a method may look through."""
    if "denoise" in surrogate.capabilities:
        surrogate.denoiser()
    if "embed_text" in surrogate.capabilities:
        surrogate.embed_text(["a picture"])
    if "embed_image" in surrogate.capabilities:
        surrogate.embed_image(torch.zeros(1, 3, 8, 8))
    return {"autoencoder": surrogate.sha256, **getattr(surrogate, "part_hashes", {})}


def _pictures(folder: Path, per_artist: int) -> list[tuple[str, Path]]:
    artists = sorted(path for path in folder.iterdir() if path.is_dir())
    chosen = [path for artist in artists for path in sorted(artist.glob("*.jpg"))[:per_artist]]
    return [(f"{path.parent.name}/{path.stem}", path) for path in chosen]


def _finished(path: Path, key: dict[str, Any]) -> dict[str, dict[str, Any]]:
    if not path.exists():
        return {}
    before = MethodsResult.model_validate_json(path.read_bytes())
    return dict(before.rows) if before.key == key else {}


def _measure(job: _Job) -> dict[str, dict[str, Any]]:
    """Attack first, all pictures, so that the memory is that of attacks; then measure."""
    surrogate = load_surrogate(job.model)
    attacked = []
    for name, path in job.pictures:
        x = read_picture(path).pixels
        x = round_to_8_bits(resized(x, scale_for(x, job.side)))
        target = choose_target(x, "auto")
        started = time.perf_counter()
        cloaked = cloaked_by(job.method, surrogate, x, target, strength=job.strength, steps=job.steps)
        attacked.append((name, x, cloaked, target, time.perf_counter() - started))
    memory = peak_memory(torch.device("cpu"))
    return {
        f"{job.method} on {name}": _row(surrogate, x, cloaked, target)
        | {"method": job.method, "picture": name, "seconds": round(seconds, 2), "peak_memory_bytes": memory}
        for name, x, cloaked, target, seconds in attacked
    }


def cloaked_by(
    name: str, surrogate: Surrogate, x: Tensor, target: Target | None, *, strength: Strength, steps: int
) -> Tensor:
    """What a method makes of a picture (1, 3, H, W) within the strength's ball and caps, rounded to 8 bits."""
    level, method = STRENGTHS[strength], METHODS.get(name).value()
    attack = PGD(level.ball(x), config=method.optimiser(steps), generator=torch.Generator().manual_seed(0))
    loss, transforms = method.loss(surrogate, x, target), method.transforms()
    cap = PerceptualBudget(level.caps, metric=lpips("alex"))
    if loss is None:
        draw = 2 * torch.rand(x.shape, generator=attack.generator) - 1
        return round_to_8_bits(cap.project(attack.budget.project(x + draw * attack.budget.radius, x), x))
    through = ExpectationOverTransforms(
        loss,
        [transform for transform, _ in transforms],
        probabilities=[chance for _, chance in transforms],
        generator=method.generator,
    )
    return round_to_8_bits(cap.project(attack(x, through), x))


@torch.no_grad()
def _row(surrogate: Surrogate, x: Tensor, cloaked: Tensor, target: Target) -> dict[str, Any]:
    """Figures of the cloak, each beside that of Gaussian noise with the same LPIPS."""
    metric = lpips("alex")
    distance = metric.from_original(x)
    noise = noise_like(x, distance(cloaked), distance)
    effect = Comparison(x, cloaked, metric=metric).effect_on(surrogate, target=target, battery="none")
    size = effect.sizes[0]
    row: dict[str, Any] = {
        "target": target.name,
        "lpips": size.lpips,
        "seen_shift": size.cloak.low_frequency,
        "seen_shift_noise": size.noise.low_frequency,
        "pull": effect.pull,
        "pull_noise": effect.pull_noise,
    }
    if surrogate.capabilities >= Denoising.requires:
        own = style_prompt(nearest_style(surrogate, x))
        error = Denoising(surrogate, x, prompt=own, draws=FixedDraws(_LEVELS))
        before, after, control = (-float(error(picture)) for picture in (x, cloaked, noise))
        row |= {"denoising_change": after / before - 1, "denoising_change_noise": control / before - 1}
        prompts = PromptContrast(surrogate, x, target=target, draws=FixedDraws(_LEVELS))
        before, after, control = (float(prompts(picture)) for picture in (x, cloaked, noise))
        row |= {"prompt_shift": before - after, "prompt_shift_noise": before - control}
    if surrogate.capabilities >= TextContrast.requires:
        contrast = TextContrast(surrogate, x, target=target)
        before, after, control = (float(contrast(picture)) for picture in (x, cloaked, noise))
        row |= {"text_shift": before - after, "text_shift_noise": before - control, "prompts": list(contrast.prompts)}
    return row


def _summary(rows: dict[str, dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Medians over the pictures of every figure."""
    summary = {}
    for method in sorted({row["method"] for row in rows.values()}):
        mine = [row for row in rows.values() if row["method"] == method]
        figures = [name for name, value in mine[0].items() if isinstance(value, int | float)]
        summary[method] = {name: float(f"{statistics.median(row[name] for row in mine):.5g}") for name in figures}
    return summary
