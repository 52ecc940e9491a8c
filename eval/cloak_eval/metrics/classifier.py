"""Whose style is it? A linear probe on style features, which no mimic and no cloak was trained with.

It learns from crops of all pictures of each artist, seen in one or more ways: clean, and as a model gives them back,
for a mimic's drawings are in the model's hand. How good it is, is measured by cross-validation: for each fold of
pictures another probe is trained on all the others, so that no crop is judged by a probe that has seen any part of its
picture.
"""

import hashlib
import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cloak.errors import MissingExtraError, UsageError
from cloak_eval.metrics.bootstrap import bootstrap
from cloak_eval.metrics.features import FEATURES, style_features
from cloak_eval.mimics.training_set import training_crop

__all__ = ["ClassifierReport", "StyleClassifier", "crops_of", "train_style_classifier"]

View = Callable[[Tensor], Tensor]
LARGEST_CROP = 1.5
FOLDS = 5


@dataclass(frozen=True)
class ClassifierReport:
    """How good the judge itself is.

    Args:
        accuracy: share of held-out clean crops whose artist it names.
        low: 2.5th percentile of `accuracy` over bootstrapped pictures; crops of one picture are no separate evidence.
        high: 97.5th percentile.
        by_artist: accuracy on clean crops.
        views: accuracy on crops as they are seen in each way, "clean" among them.
        confusions: for each view, crops by true artist (rows) and named artist (columns), in the order of `by_artist`.
        held_out_pictures: pictures they were cut from; all of them, each held out once.
        crops: clean crops.
        folds: parts that the pictures were divided into.
        features: what it looks at.
    """

    accuracy: float
    low: float
    high: float
    by_artist: dict[str, float]
    views: dict[str, float]
    confusions: dict[str, list[list[int]]]
    held_out_pictures: int
    crops: int
    folds: int = FOLDS
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

    def called(self, features: Tensor) -> dict[str, int]:
        """How many of N pictures each artist is named for; sums to N."""
        counts = torch.bincount(self.probabilities(features).argmax(1), minlength=len(self.artists))
        return dict(zip(self.artists, counts.tolist(), strict=True))

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
    views: Mapping[str, View] = MappingProxyType({"clean": style_features}),
    side: int = 128,
    crops: int = 8,
    seed: int = 0,
) -> StyleClassifier:
    """Fit the judge on clean pictures.

    Args:
        gallery: artist to pictures (3, H, W) in [0, 1]; at least two artists with at least four pictures each.
        views: ways of seeing, each from crops (N, 3, side, side) to features; "clean" comes first.
        side: of the crops, pixels.
        crops: of each picture.
        seed: of the crops and of which pictures are held out together.

    Raises:
        UsageError: too few artists or pictures.
    """
    if len(gallery) < 2 or min(map(len, gallery.values())) < 4:
        sizes = {name: len(pictures) for name, pictures in gallery.items()}
        raise UsageError(f"A style classifier needs two artists with four pictures each, got {sizes}.")
    artists = sorted(gallery)
    seen: dict[str, list[Tensor]] = {name: [] for name in views}
    labels, folds = [], []
    for index, artist in enumerate(artists):
        generator = torch.Generator().manual_seed(_seed_of(artist, seed))
        cut = crops_of(gallery[artist], crops, side, generator)
        for name, view in views.items():
            seen[name].append(view(cut))
        labels.append(torch.full((len(cut),), index))
        order = torch.randperm(len(gallery[artist]), generator=generator)
        folds.append((order % FOLDS).repeat_interleave(crops))
    features, label = [torch.cat(some) for some in seen.values()], torch.cat(labels)
    named = dict(zip(views, _named_unseen(features, label, torch.cat(folds)), strict=True))
    return StyleClassifier(artists, _fit(features, label), _report(named, label, artists, crops))


def _seed_of(artist: str, seed: int) -> int:
    """A seed of an artist's own, so that another artist in the gallery does not change the split."""
    return int(hashlib.sha256(f"{seed}|{artist}".encode()).hexdigest()[:12], 16)


def _fit(features: Sequence[Tensor], labels: Tensor) -> Any:
    """A probe for several views (N, D) of the same crops."""
    try:
        linear, pipeline, preprocessing = (
            importlib.import_module(f"sklearn.{name}") for name in ("linear_model", "pipeline", "preprocessing")
        )
    except ImportError as error:
        raise MissingExtraError("scikit-learn", "eval") from error
    probe = pipeline.make_pipeline(preprocessing.StandardScaler(), linear.LogisticRegression(C=0.01, max_iter=300))
    return probe.fit(torch.cat(list(features)).numpy(), labels.repeat(len(features)).numpy())


def _named_unseen(features: Sequence[Tensor], labels: Tensor, folds: Tensor) -> list[Tensor]:
    """What each crop is called by a probe that was trained on the other folds; (N,) for each view."""
    named = [torch.zeros_like(labels) for _ in features]
    for fold in torch.unique(folds):
        out = folds == fold
        probe = _fit([view[~out] for view in features], labels[~out])
        for answers, view in zip(named, features, strict=True):
            answers[out] = torch.from_numpy(probe.predict(view[out].numpy()))
    return named


def _report(named: Mapping[str, Tensor], labels: Tensor, artists: Sequence[str], crops: int) -> ClassifierReport:
    confusions = {name: _confusion(labels, answers, len(artists)) for name, answers in named.items()}
    clean = confusions["clean"]
    pictures = (named["clean"] == labels).double().view(-1, crops).mean(1)
    accuracy = bootstrap(pictures, lambda some: float(some.mean()), resamples=1000)
    return ClassifierReport(
        accuracy=accuracy.value,
        low=accuracy.low,
        high=accuracy.high,
        by_artist={artist: float(clean[at, at] / clean[at].sum()) for at, artist in enumerate(artists)},
        views={name: float(counts.trace() / counts.sum()) for name, counts in confusions.items()},
        confusions={name: counts.tolist() for name, counts in confusions.items()},
        held_out_pictures=len(pictures),
        crops=len(labels),
    )


def _confusion(labels: Tensor, named: Tensor, artists: int) -> Tensor:
    """Crops by true (row) and named (column) artist, (artists, artists) int64."""
    return torch.bincount(labels * artists + named, minlength=artists**2).view(artists, artists)
