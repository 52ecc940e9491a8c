"""The pictures of each arm: as they are, with noise, cloaked by a recipe, or cloaked by somebody else's tool.

And what an attacker can learn of the tool from pictures of other artists.
"""

import functools
import io
import json
import time
from collections.abc import Generator
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from cloak import ProtectConfig, Protector, __version__
from cloak.budgets import round_to_8_bits
from cloak.effect import noise_like
from cloak.errors import InputError, UsageError
from cloak.image import read_picture
from cloak.methods import METHODS
from cloak.perceptual import lpips
from cloak_eval.countermeasures.coding import as_image
from cloak_eval.experiments.cells import Cell, digest
from cloak_eval.experiments.config import CONTROLS, NOISE, OWN, Experiment
from cloak_eval.experiments.store import Store, as_bytes
from cloak_eval.mimics.training_set import opaque, picture_files
from cloak_eval.removal import CloakRemover, train_remover

__all__ = ["Gallery", "artist_folder", "learnt_remover", "published_pictures"]

Published = Generator[int, None, tuple[list[Tensor], float | None]]


def artist_folder(art: list[Path], artist: str) -> Path:
    """Where an artist's pictures lie; raises InputError when no art folder has them."""
    for folder in art:
        if (folder / artist).is_dir():
            return folder / artist
    places = ", ".join(map(str, art)) or "nothing"
    raise InputError(f"There is no folder {artist!r} below {places}; give the folder of artists' folders with --art.")


class Gallery:
    """An artist's pictures as they are posted: the stolen ones, and the others."""

    def __init__(self, experiment: Experiment, art: list[Path], artist: str) -> None:
        files = picture_files(artist_folder(art, artist))
        if len(files) <= experiment.pictures:
            raise UsageError(
                f"{artist} has {len(files)} pictures; with pictures={experiment.pictures} no reference is left."
            )
        self.stolen_files = files[: experiment.pictures]
        self.side = experiment.posted_side
        self.stolen = [posted(opaque(file), self.side) for file in self.stolen_files]
        self.others = [posted(opaque(file), self.side) for file in files[experiment.pictures :]]


def posted(picture: Tensor, side: int | None) -> Tensor:
    """(3, H, W) reduced to a short side, in 8-bit steps."""
    height, width = picture.shape[-2:]
    if side is None or min(height, width) <= side:
        return picture
    scale = side / min(height, width)
    size = (round(scale * height), round(scale * width))
    return round_to_8_bits(F.interpolate(picture[None], size=size, mode="bicubic", antialias=True)[0])


def reference_method(experiment: Experiment) -> str:
    """The method that noise is matched with and that controls are attacked as."""
    return experiment.methods[0] if experiment.methods else "artcloak"


def published_pictures(experiment: Experiment, cell: Cell, gallery: Gallery, store: Store) -> Published:
    """Yields how many pictures are ready, where that takes a while.

    Returns:
        The stolen pictures as the cell's arm publishes them, and the seconds each took if they were made now.
    """
    if cell.is_clean:
        return gallery.stolen, None
    if cell.method in experiment.external:
        return _external(experiment.external[cell.method] / cell.artist, gallery), None
    if cell.method == NOISE:
        of_method = cell.model_copy(update={"method": reference_method(experiment)})
        cloaked, _ = yield from published_pictures(experiment, of_method, gallery, store)
        return store.pictures(
            digest("noise", as_bytes(gallery.stolen), as_bytes(cloaked)), lambda: _noisy(gallery.stolen, cloaked)
        ), None
    return (yield from _cloaked(experiment, cell, gallery, store))


def _all_at_once(published: Published) -> list[Tensor]:
    """The pictures, without looking how far they are."""
    while True:
        try:
            next(published)
        except StopIteration as end:
            pictures: list[Tensor] = end.value[0]
            return pictures


def learnt_remover(experiment: Experiment, cell: Cell, art: list[Path], store: Store) -> tuple[str, CloakRemover]:
    """What knows the cell's method from other artists' pictures, with the key that it is kept under.

    For clean pictures and noise it is the one that knows the first method, so that they are controls of the same
    attack.
    """
    method = reference_method(experiment) if cell.method in CONTROLS else cell.method
    strength = cell.strength or experiment.strengths[0]
    others = sorted({*experiment.artists, *experiment.also_judged} - {cell.artist})
    clean, cloaked = [], []
    for artist in others:
        present = len(picture_files(artist_folder(art, artist)))
        count = min(-(-experiment.remover.pictures // len(others)), present - 1)
        gallery = Gallery(experiment.model_copy(update={"pictures": count}), art, artist)
        lesson = cell.model_copy(update={"artist": artist, "method": method, "strength": strength})
        clean += gallery.stolen
        cloaked += _all_at_once(published_pictures(experiment, lesson, gallery, store))
    config = experiment.remover
    key = digest("remover", __version__, config.model_dump_json(), as_bytes(clean), as_bytes(cloaked))
    remover = CloakRemover(config.width)
    names = list(remover.state_dict())
    weights = store.get(key, lambda: list(train_remover(clean, cloaked, config).state_dict().values()))
    remover.load_state_dict(dict(zip(names, weights, strict=True)))
    return key, remover.eval().requires_grad_(False)


def _noisy(originals: list[Tensor], cloaked: list[Tensor]) -> list[Tensor]:
    """Noise as visible, by LPIPS, as the first method's cloak of the same picture."""
    distances = (lpips("alex").from_original(x[None]) for x in originals)
    rows = zip(originals, cloaked, distances, strict=True)
    return [noise_like(x[None], distance(y[None]), distance)[0] for x, y, distance in rows]


def _cloaked(experiment: Experiment, cell: Cell, gallery: Gallery, store: Store) -> Published:
    METHODS.get(cell.method)
    budget = {"own_budget": True} if cell.strength == OWN else {"strength": cell.strength}
    settings = {"method": cell.method, **budget, "effort": experiment.effort, "format": "png"}
    config = ProtectConfig.model_validate({**settings, "models": experiment.protect_models})
    protector, seconds, cloaked = Protector(config), [], []
    weights = json.dumps([(s.name, s.sha256) for s in protector.surrogates])

    def compute(picture: Tensor) -> list[Tensor]:
        begin = time.perf_counter()
        result = read_picture(protector(_png(picture)).data).pixels[0]
        seconds.append(time.perf_counter() - begin)
        return [result]

    for each in gallery.stolen:
        key = digest("cloak", config.digest(), weights, as_bytes([each]))
        cloaked += store.pictures(key, functools.partial(compute, each))
        yield len(cloaked)
    return cloaked, sum(seconds) / len(seconds) if seconds else None


def _png(picture: Tensor) -> bytes:
    buffer = io.BytesIO()
    as_image(picture[None]).save(buffer, "PNG")
    return buffer.getvalue()


def _external(folder: Path, gallery: Gallery) -> list[Tensor]:
    """What another tool wrote, by file name without suffix, at the size that the others are posted at."""
    found = {path.stem: path for path in picture_files(folder)}
    missing = [file.stem for file in gallery.stolen_files if file.stem not in found]
    if missing:
        raise InputError(f"{folder} lacks cloaked versions of {', '.join(missing)}.")
    pictures = [posted(opaque(found[file.stem]), gallery.side) for file in gallery.stolen_files]
    sizes = [each.shape[-2:] for each in gallery.stolen]
    return [
        each
        if each.shape[-2:] == size
        else torch.clamp(F.interpolate(each[None], size=size, mode="bicubic", antialias=True)[0], 0, 1)
        for each, size in zip(pictures, sizes, strict=True)
    ]
