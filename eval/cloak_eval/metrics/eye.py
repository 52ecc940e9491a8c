"""Style as an image encoder with words sees it: the model's own, else CLIP ViT-L/14 where it is on this machine."""

from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from cloak.errors import UsageError
from cloak.surrogates import Surrogate, installed, load_clip, load_surrogate
from cloak.surrogates.store import looks_like_path, model_path
from cloak.targets.style_text import known_styles, style_prompt
from cloak_eval.metrics.base import METRICS, Evidence, Metric

__all__ = ["ClipStyle", "GenreShift", "eye_of", "measurable"]

_CLIP = "clip-vit-l-14"
_CHUNK = 16


def eye_of(model: str, named: str | None = None) -> Surrogate | None:
    """The image encoder that metrics look through; None when there is none on this machine.

    Args:
        model: the pipeline that mimics fine-tune, whose own encoder is taken if it has one.
        named: another pipeline or CLIP model, a catalogue name or a folder; it must be there.
    """
    if named is not None:
        folder = Path(named).expanduser() if looks_like_path(named) else model_path(named)
        return load_clip(named) if (folder / "config.json").is_file() else load_surrogate(named)
    own = load_surrogate(model)
    if "embed_image" in own.capabilities:
        return own
    return load_clip(_CLIP) if _CLIP in installed() else None


def measurable(eye: Surrogate | None) -> list[str]:
    """Names of the metrics that do not need more than this eye can do."""
    able = eye.capabilities if eye else frozenset()
    return [entry.name for entry in METRICS if entry.requires <= able]


class _EyeMetric(Metric):
    """Looks through `Evidence.eye`."""

    def seen_through(self, evidence: Evidence) -> str:
        return f"image encoder of {_eye(evidence).name}"


@METRICS.register(
    "clip-style",
    summary="cosine of image embeddings between each drawing and the mean of the artist's clean crops",
    reference="after Somepalli et al. 2024, CSD, arXiv 2404.01292, on the image encoder at hand",
    requires=frozenset({"embed_image"}),
    higher_is_better=False,
    value_range=(-1.0, 1.0),
)
class ClipStyle(_EyeMetric):
    """CSD's use of embeddings without CSD's training: it also sees what is drawn, not only how."""

    def samples(self, evidence: Evidence) -> Tensor:
        centre = F.normalize(_embedded(evidence, evidence.references).mean(0), dim=0)
        return (_embedded(evidence, evidence.outputs) @ centre).double()


@METRICS.register(
    "genre-shift",
    summary="share of drawings for which the image encoder finds another style than for the artist's clean crops",
    reference="after Shan et al. 2023, Glaze, arXiv 2302.04222 (CLIP-based genre shift)",
    requires=frozenset({"embed_image", "embed_text"}),
    higher_is_better=True,
    value_range=(0.0, 1.0),
)
class GenreShift(_EyeMetric):
    """The artist's style is what most clean crops are called; Glaze takes it from history and allows three answers.

    A model is asked for the styles that it was told in its training, which for the miniature are a few artists' names.
    """

    def samples(self, evidence: Evidence) -> Tensor:
        eye = _eye(evidence)
        words = eye.embed_text([style_prompt(style) for style in known_styles(eye)])
        prompts = F.normalize(words.pooled, dim=-1)
        drawn, clean = (
            (_embedded(evidence, some) @ prompts.T).argmax(1) for some in (evidence.outputs, evidence.references)
        )
        return (drawn != clean.mode().values).double()


def _eye(evidence: Evidence) -> Surrogate:
    if evidence.eye is None:
        raise UsageError("This metric needs an image encoder: a model that has one, or its name as `eye`.")
    return evidence.eye


def _embedded(evidence: Evidence, pictures: Tensor) -> Tensor:
    """Unit vectors (N, E)."""
    return torch.cat([_eye(evidence).embed_image(chunk).cpu() for chunk in torch.split(pictures, _CHUNK)])
