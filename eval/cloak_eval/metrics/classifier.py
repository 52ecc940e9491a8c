"""Whose style is it? A linear probe on style features, held out from all training of mimics.

Half of each artist's pictures train it, the other half measures it; no picture is on both sides. It also learns from
pictures as an autoencoder gives them back, for a mimic's drawings have gone through its decoder.
"""

import hashlib
import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cloak.errors import MissingExtraError, UsageError
from cloak_eval.metrics.bootstrap import bootstrap
from cloak_eval.metrics.features import FEATURES, style_features
from cloak_eval.mimics.training_set import training_crop

__all__ = ["ClassifierReport", "StyleClassifier", "crops_of", "train_style_classifier"]

RoundTrip = Callable[[Tensor], Tensor]
LARGEST_CROP = 1.5


@dataclass(frozen=True)
class ClassifierReport:
    """How good the judge itself is.

    Args:
        accuracy: share of held-out clean crops whose artist it names.
        accuracy_round_trip: the same for crops that went through the autoencoder; None without one.
        low: 2.5th percentile of `accuracy` over bootstrapped pictures; crops of one picture are no separate evidence.
        high: 97.5th percentile.
        by_artist: accuracy on clean crops.
        confusion: clean crops by true artist (rows) and named artist (columns), both in the order of `by_artist`.
        confusion_round_trip: the same after the autoencoder; None without one.
        held_out_pictures: pictures they were cut from.
        crops: held-out clean crops.
        features: what it looks at.
    """

    accuracy: float
    accuracy_round_trip: float | None
    low: float
    high: float
    by_artist: dict[str, float]
    confusion: list[list[int]]
    confusion_round_trip: list[list[int]] | None
    held_out_pictures: int
    crops: int
    features: str = FEATURES


class StyleClassifier:
    """Names the artist of a picture.

    Args:
        artists: its answers, in order.
        probe: a fitted scikit-learn classifier over `artists`' indices.
        report: how good it is on pictures that it has not seen.
    """

    def __init__(self, artists: Sequence[str], probe: Any, report: ClassifierReport) -> None:
        self.artists, self.probe, self.report = list(artists), probe, report

    def probabilities(self, features: Tensor) -> Tensor:
        """(N, artists) float64, rows sum to 1; for features (N, D) of `style_features`."""
        return torch.from_numpy(np.asarray(self.probe.predict_proba(features.numpy())))

    def attributed(self, features: Tensor, artist: str) -> Tensor:
        """(N,) float64, 1 where `artist` is the most likely one."""
        return (self.probabilities(features).argmax(1) == self.index(artist)).double()

    def index(self, artist: str) -> int:
        """Position of an artist; raises UsageError for one that it was not trained on."""
        if artist not in self.artists:
            raise UsageError(f"The style classifier was not trained on {artist!r}, only on {', '.join(self.artists)}.")
        return self.artists.index(artist)


def crops_of(pictures: Sequence[Tensor], count: int, side: int, generator: torch.Generator) -> Tensor:
    """`count` random crops of each picture, (len(pictures) * count, 3, side, side), cut as mimics cut them."""
    cut = [training_crop(p, side, generator, largest=LARGEST_CROP) for p in pictures for _ in range(count)]
    return torch.stack(cut)


def train_style_classifier(
    gallery: Mapping[str, Sequence[Tensor]],
    *,
    round_trip: RoundTrip | None = None,
    side: int = 128,
    crops: int = 8,
    seed: int = 0,
    describe: Callable[[Tensor], Tensor] = style_features,
) -> StyleClassifier:
    """Fit the judge on clean pictures.

    Args:
        gallery: artist to pictures (3, H, W) in [0, 1]; at least two artists with at least four pictures each.
        round_trip: decode(encode(x)) of the mimics' autoencoder, on (N, 3, side, side).
        side: of the crops, pixels.
        crops: of each picture.
        seed: of the crops and of which pictures are held out.
        describe: gives the features of pictures; another one may keep them.

    Raises:
        UsageError: too few artists or pictures.
    """
    if len(gallery) < 2 or min(map(len, gallery.values())) < 4:
        sizes = {name: len(pictures) for name, pictures in gallery.items()}
        raise UsageError(f"A style classifier needs two artists with four pictures each, got {sizes}.")
    artists = sorted(gallery)
    training, held_out = _Side(describe), _Side(describe)
    for index, artist in enumerate(artists):
        generator = torch.Generator().manual_seed(_seed_of(artist, seed))
        order = torch.randperm(len(gallery[artist]), generator=generator).tolist()
        half = len(order) // 2
        for side_of_split, chosen in ((held_out, order[:half]), (training, order[half:])):
            cut = crops_of([gallery[artist][at] for at in chosen], crops, side, generator)
            side_of_split.add(index, cut, round_trip, pictures=len(chosen))
    probe = _fit(*training.all())
    return StyleClassifier(artists, probe, _report(probe, artists, held_out))


class _Side:
    """One side of the split: features of crops, clean and after the round trip."""

    def __init__(self, describe: Callable[[Tensor], Tensor]) -> None:
        self.describe = describe
        self.clean: list[Tensor] = []
        self.returned: list[Tensor] = []
        self.labels: list[Tensor] = []
        self.pictures = 0

    def add(self, index: int, crops: Tensor, round_trip: RoundTrip | None, *, pictures: int) -> None:
        self.clean.append(self.describe(crops))
        if round_trip is not None:
            self.returned.append(self.describe(round_trip(crops)))
        self.labels.append(torch.full((len(crops),), index))
        self.pictures += pictures

    def all(self) -> tuple[Tensor, Tensor]:
        repeats = 2 if self.returned else 1
        return torch.cat([*self.clean, *self.returned]), torch.cat(self.labels * repeats)


def _seed_of(artist: str, seed: int) -> int:
    """A seed of an artist's own, so that another artist in the gallery does not change the split."""
    return int(hashlib.sha256(f"{seed}|{artist}".encode()).hexdigest()[:12], 16)


def _fit(features: Tensor, labels: Tensor) -> Any:
    try:
        linear, pipeline, preprocessing = (
            importlib.import_module(f"sklearn.{name}") for name in ("linear_model", "pipeline", "preprocessing")
        )
    except ImportError as error:
        raise MissingExtraError("scikit-learn", "eval") from error
    probe = pipeline.make_pipeline(preprocessing.StandardScaler(), linear.LogisticRegression(C=0.01, max_iter=300))
    return probe.fit(features.numpy(), labels.numpy())


def _report(probe: Any, artists: list[str], held_out: _Side) -> ClassifierReport:
    labels = torch.cat(held_out.labels)
    clean = _confusion(probe, held_out.clean, labels, len(artists))
    returned = _confusion(probe, held_out.returned, labels, len(artists)) if held_out.returned else None
    right = torch.from_numpy(probe.predict(torch.cat(held_out.clean).numpy())) == labels
    pictures = right.double().view(held_out.pictures, -1).mean(1)
    accuracy = bootstrap(pictures, lambda some: float(some.mean()), resamples=1000)
    return ClassifierReport(
        accuracy=accuracy.value,
        accuracy_round_trip=None if returned is None else float(returned.trace() / returned.sum()),
        low=accuracy.low,
        high=accuracy.high,
        by_artist={artist: float(clean[at, at] / clean[at].sum()) for at, artist in enumerate(artists)},
        confusion=clean.tolist(),
        confusion_round_trip=None if returned is None else returned.tolist(),
        held_out_pictures=held_out.pictures,
        crops=len(labels),
    )


def _confusion(probe: Any, features: list[Tensor], labels: Tensor, artists: int) -> Tensor:
    """Crops by true (row) and named (column) artist, (artists, artists) int64."""
    named = torch.from_numpy(probe.predict(torch.cat(features).numpy()))
    return torch.bincount(labels * artists + named, minlength=artists**2).view(artists, artists)
