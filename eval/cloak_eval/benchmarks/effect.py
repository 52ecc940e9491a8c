"""How visible the cloak is and what it does to models, on a folder of art, beside noise of the same visibility.

`--attack embedded` is what an offline user gets; the teacher, real published weights, is only measured. `--attack
teacher` is what a user gets who has pulled real models. `--attack noise` is the control run through the whole tool.
Finished pictures are kept in the result file and skipped when the run is started again.
"""

import argparse
import functools
import statistics
import time
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from cloak import ProtectConfig, Protector
from cloak.budgets import STRENGTHS
from cloak.certificate import measure_visibility
from cloak.device import resolve_device, working_dtype
from cloak.effect import Comparison, ModelEffect, noise_like
from cloak.image import read_picture
from cloak.perceptual import low_frequency_rms, lpips
from cloak.surrogates import Surrogate, load_surrogate
from cloak.views import resized, scale_for
from cloak_eval.benchmarks.results import Provenance, Record, provenance, write_json
from cloak_eval.processes import one_core_each

__all__ = ["add_parser", "run", "run_large"]

_LARGE = 2048
_TEACHER = "taef2 (published)"


class EffectResult(Record):
    """What a finished (or interrupted) run holds.

    Args:
        key: configuration and weights; rows are kept only while it stays the same.
        summary: medians and extremes over the pictures.
        provenance: of the code and machine that wrote the file last.
        rows: by picture.
    """

    key: dict[str, Any]
    summary: dict[str, Any]
    provenance: Provenance
    rows: dict[str, Any]


def add_parser(subparsers: Any) -> None:
    """The subcommands `effect` and `large`."""
    parser = subparsers.add_parser("effect", help="visibility and effect over a folder of art", description=__doc__)
    parser.add_argument("--art", type=Path, required=True, help="folder of artists' folders")
    parser.add_argument("--weights", type=Path, required=True, help="folder with the published FLUX.2-class weights")
    parser.add_argument("--attack", choices=["embedded", "teacher", "noise"], default="embedded")
    parser.add_argument("--strength", default="balanced", choices=sorted(STRENGTHS))
    parser.add_argument("--effort", default="standard", choices=["instant", "fast", "standard", "thorough"])
    parser.add_argument("--per-artist", type=int, default=0, help="pictures of each artist, 0 for all")
    parser.add_argument("--jobs", type=int, default=1, help="pictures at once, each on one core")
    parser.add_argument("--out", type=Path, required=True)
    parser.set_defaults(run=run)
    large = subparsers.add_parser("large", help="what a 2048 px picture keeps when a trainer resizes it")
    large.add_argument(
        "--art", type=Path, required=True, help="folder of artists' folders; four pictures make one large one"
    )
    large.add_argument("--weights", type=Path, required=True)
    large.add_argument("--count", type=int, default=4, help="large pictures to make")
    large.add_argument("--out", type=Path, required=True)
    large.set_defaults(run=run_large)


def run(options: argparse.Namespace) -> None:
    """Protect and measure every picture, then summarise."""
    config = _config(options)
    key = {"config_sha256": config.digest(), "weights": _weights(Protector(config).surrogates)}
    rows = _finished(options.out, key)
    paths = {f"{path.parent.name}/{path.stem}": path for path in _pictures(options.art, options.per_artist)}
    missing = [name for name in paths if name not in rows]
    measure = functools.partial(_row, config=config, weights=options.weights)
    with one_core_each(options.jobs) as pool:
        for name, row in zip(missing, pool.map(measure, [paths[name] for name in missing]), strict=True):
            rows[name] = row
            _save(options.out, key, rows)
    _save(options.out, key, rows)


@functools.cache
def _teacher(folder: Path) -> Surrogate:
    device = resolve_device("auto")
    surrogate = load_surrogate(str(folder)).to(device, working_dtype(device))
    surrogate.name = _TEACHER
    return surrogate


@functools.cache
def _protector(config: ProtectConfig) -> Protector:
    return Protector(config)


def _config(options: argparse.Namespace) -> ProtectConfig:
    models = (str(options.weights),) if options.attack == "teacher" else ("auto",)
    method = "noise" if options.attack == "noise" else "artcloak"
    return ProtectConfig(strength=options.strength, effort=options.effort, models=models, method=method)


def _weights(surrogates: list[Surrogate]) -> dict[str, str | None]:
    return {Path(surrogate.name).name: surrogate.sha256 for surrogate in surrogates}


def _pictures(folder: Path, per_artist: int) -> list[Path]:
    artists = sorted(path for path in folder.iterdir() if path.is_dir())
    groups = [sorted(artist.glob("*.jpg"))[: per_artist or None] for artist in artists]
    ranks = range(max(map(len, groups), default=0))
    return [group[rank] for rank in ranks for group in groups if rank < len(group)]  # a stopped run has some of each


def _finished(out: Path, key: dict[str, Any]) -> dict[str, Any]:
    """Rows of an earlier run with the same configuration and weights."""
    if not out.exists():
        return {}
    earlier = EffectResult.model_validate_json(out.read_bytes())
    return dict(earlier.rows) if earlier.key == key else {}


def _row(path: Path, *, config: ProtectConfig, weights: Path) -> dict[str, Any]:
    protector = _protector(config)
    begin = time.perf_counter()
    result = protector(path.read_bytes())  # bytes in, nothing written
    before, after = read_picture(path).pixels, read_picture(result.data).pixels
    seconds = time.perf_counter() - begin
    caps = STRENGTHS[config.strength].caps
    seen = measure_visibility(before, after, vgg=False)
    held = seen.lpips <= caps.lpips and seen.delta_e_p95 <= caps.delta_e and seen.max_change / 255 <= caps.linf + 1e-6
    effects = list(result.certificate.effects)
    if config.models == ("auto",):
        pair = Comparison(before, after, metric=lpips("alex"), own_size=False)
        effects.append(pair.effect_on(_teacher(weights), battery="none"))
    return {
        "megapixels": round(before.shape[-1] * before.shape[-2] / 1e6, 3),
        "seconds": round(seconds, 1),
        "cap_held": held,
        "visibility": result.certificate.visibility.model_dump(),
        "effects": [_short(effect) for effect in effects],
    }


def _short(effect: ModelEffect) -> dict[str, Any]:
    record = effect.model_dump()
    if not record["model"].startswith("tiny-"):
        record["model"] = _TEACHER
    return record


def _save(out: Path, key: dict[str, Any], rows: dict[str, Any]) -> None:
    write_json(
        EffectResult(key=key, summary=_summary(rows), provenance=provenance(resolve_device("auto")), rows=rows), out
    )


def _summary(rows: dict[str, Any]) -> dict[str, Any]:
    """Medians and extremes over the pictures, by model."""
    models = sorted({effect["model"] for row in rows.values() for effect in row["effects"]})
    return {
        "pictures": len(rows),
        "cap_held": sum(row["cap_held"] for row in rows.values()),
        "lpips": _spread([row["visibility"]["lpips"] for row in rows.values()]),
        "delta_e_p95": _spread([row["visibility"]["delta_e_p95"] for row in rows.values()]),
        "psnr": _spread([row["visibility"]["psnr"] for row in rows.values()]),
        "seconds": _spread([row["seconds"] for row in rows.values()]),
        "models": {model: _model_summary(model, rows) for model in models},
    }


def _model_summary(model: str, rows: dict[str, Any]) -> dict[str, Any]:
    effects = [effect for row in rows.values() for effect in row["effects"] if effect["model"] == model]
    summary: dict[str, Any] = {
        "latent_shift": _spread([effect["latent_shift"] for effect in effects]),
        "latent_shift_noise": _spread([effect["latent_shift_noise"] for effect in effects]),
        "remains": {
            name: _spread([effect["remains"][name] for effect in effects if effect["remains"]])
            for name in (effects[0]["remains"] if effects else {})
        },
    }
    first = [effect["sizes"][0] for effect in effects if effect["sizes"]]
    if first:
        summary |= {
            "seen_shift": _spread([size["cloak"]["low_frequency"] for size in first]),
            "seen_shift_noise": _spread([size["noise"]["low_frequency"] for size in first]),
            "times_noise": _spread([size["times_noise"] for size in first]),
            "amplification": _spread([size["amplification"] for size in first]),
            "after_colour_match": _spread([size["cloak"]["after_colour_match"] for size in first]),
            "after_colour_match_noise": _spread([size["noise"]["after_colour_match"] for size in first]),
            "texture": _spread([size["cloak"]["texture"] for size in first]),
            "texture_noise": _spread([size["noise"]["texture"] for size in first]),
            "at_least_3_times_noise": sum(size["times_noise"] >= 3 for size in first),
            "at_least_10_times_noise": sum(size["times_noise"] >= 10 for size in first),
        }
    return summary


def _spread(values: list[float]) -> dict[str, float]:
    if not values:
        return {}
    return {"min": round(min(values), 5), "median": round(statistics.median(values), 5), "max": round(max(values), 5)}


def run_large(options: argparse.Namespace) -> None:
    """Protect 2048 px pictures made of four; measure the seen shift at that size and as trainers resize them.

    Beside that of noise of the same LPIPS at full size.
    """
    teacher = _teacher(options.weights)
    protector = Protector(ProtectConfig())
    paths = _pictures(options.art, 0)
    rows: dict[str, Any] = {}
    for index in range(options.count):
        large = _montage([paths[(index + k * len(paths) // 4) % len(paths)] for k in range(4)])
        result = protector(large)
        before, after = read_picture(large).pixels, read_picture(result.data).pixels
        distance = lpips("alex").from_original(before)
        noisy = noise_like(before, distance(after), distance)
        rows[f"montage {index}"] = {
            surrogate.name: {
                str(side): {
                    "cloak": _shift_at(surrogate, before, after, side),
                    "noise": _shift_at(surrogate, before, noisy, side),
                }
                for side in (512, 1024, _LARGE)
            }
            for surrogate in [*protector.surrogates, teacher]
            if "decode" in surrogate.capabilities
        } | {"seconds": result.certificate.seconds}
    kept = {
        model: _spread([row[model]["512"]["cloak"] / row[model][str(_LARGE)]["cloak"] for row in rows.values()])
        for model in next(iter(rows.values()))
        if model != "seconds"
    }
    summary = {"kept_at_512": kept}
    here = provenance(resolve_device("auto"))
    write_json(EffectResult(key={}, summary=summary, provenance=here, rows=rows), options.out)


def _montage(paths: list[Path]) -> Image.Image:
    half = _LARGE // 2
    canvas = Image.new("RGB", (_LARGE, _LARGE))
    for index, path in enumerate(paths):
        picture = Image.open(path).convert("RGB")
        side = min(picture.size)
        picture = picture.crop((0, 0, side, side)).resize((half, half), Image.Resampling.LANCZOS)
        canvas.paste(picture, (half * (index % 2), half * (index // 2)))
    return canvas


@torch.no_grad()
def _shift_at(surrogate: Surrogate, before: Tensor, after: Tensor, side: int) -> float:
    x, y = (resized(picture, scale_for(picture, side)) for picture in (before, after))
    return float(low_frequency_rms(surrogate.see(y) - surrogate.see(x)))
