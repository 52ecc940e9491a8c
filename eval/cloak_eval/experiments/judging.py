"""The judge of an experiment: a style classifier that has also seen each artist's pictures in the model's own hand.

What a mimic draws went through the model's decoder, and its strokes are the denoiser's. A judge that only knows clean
pictures takes that for style; so it also learns from crops that the autoencoder gives back, and from crops that the
model, without any fine-tune, draws over from half of the noise levels on.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from cloak_eval.countermeasures.diffusion import denoised
from cloak_eval.experiments.cells import digest
from cloak_eval.experiments.store import Store
from cloak_eval.metrics import StyleClassifier, style_features, train_style_classifier
from cloak_eval.mimics.pipelines import decode_latents, latent_distribution, resolution_of

__all__ = ["REDRAWN_FROM", "train_judge"]

REDRAWN_FROM = 0.5  # share of the noise levels; from 0.7 on, style is lost as well
_SEED = 0
_CHUNK = 32


def train_judge(
    gallery: Mapping[str, Sequence[Tensor]], pipe: Any, store: Store, *, weights: str, crops: int, seed: int = 0
) -> StyleClassifier:
    """Train the judge for what a pipeline draws.

    Args:
        gallery: artist to pictures (3, H, W) in [0, 1].
        pipe: whose mimics will be judged, without any fine-tune.
        store: keeps features, which take most of the time.
        weights: sha256 of the pipeline, so that those of another one are not taken.
        crops: of each picture.
        seed: of the crops and folds.
    """

    def seen(name: str, change: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        def features(pictures: Tensor) -> Tensor:
            key = digest("judge", name, weights, str(tuple(pictures.shape)), pictures.numpy().tobytes())
            return store.get(key, lambda: [style_features(change(pictures))])[0]

        return features

    views = {
        "clean": store.features,
        "after the autoencoder": seen("autoencoder", lambda x: decode_latents(pipe, latent_distribution(pipe, x)[0])),
        "redrawn": seen(f"redrawn from {REDRAWN_FROM}", lambda x: _redrawn(pipe, x)),
    }
    return train_style_classifier(gallery, views=views, side=resolution_of(pipe), crops=crops, seed=seed)


def _redrawn(pipe: Any, pictures: Tensor) -> Tensor:
    """Drawn over without a prompt; (N, 3, side, side)."""
    generator = torch.Generator().manual_seed(_SEED)
    latents = torch.split(latent_distribution(pipe, pictures)[0], _CHUNK)
    drawn = [denoised(pipe, each.to(pipe.unet.device), REDRAWN_FROM, generator) for each in latents]
    return decode_latents(pipe, torch.cat(drawn))
