"""The certificate: what was done, how visible it is, what it does to models, all measured on the file as written."""

import importlib.metadata
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import torch
from kornia.metrics import ssim
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from torch import Tensor

from cloak.budgets import Visibility, visibility_from
from cloak.config import ProtectConfig
from cloak.effect import Comparison, ModelEffect
from cloak.errors import UsageError
from cloak.image import PictureDocument, read_picture
from cloak.perceptual import lpips, standard_lpips
from cloak.surrogates import Surrogate, load_surrogate, resolve_models
from cloak.verdict import verdict_for
from cloak.views import resized, scale_for

__all__ = [
    "Certificate",
    "FileFacts",
    "ModelFacts",
    "PairReport",
    "Signature",
    "VisibilityFigures",
    "inspect_pair",
    "measure_visibility",
    "package_versions",
]

_BAND = 512
_PACKAGES = ("torch", "torchvision", "diffusers", "kornia", "Pillow", "numpy", "safetensors")


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


def _spelled_out(name: str) -> str:
    """A file's name with bytes that are no text, which JSON cannot hold, as escapes."""
    return name.encode("utf-8", "backslashreplace").decode()


class FileFacts(_Record):
    """Identity and shape of a file."""

    name: Annotated[str, AfterValidator(_spelled_out)]
    sha256: str
    bytes: int | None = Field(description="Size of the file; null for a picture that came from memory.")
    width: int
    height: int
    mode: str
    format: str

    def named(self, name: str) -> "FileFacts":
        """The same file under another name."""
        return FileFacts(**{**self.model_dump(), "name": name})


class ModelFacts(_Record):
    """Which weights were used."""

    name: str
    family: str
    embedded: bool
    revision: str | None
    sha256: str | None


class VisibilityFigures(_Record):
    """How far the written file is from the input; transparent pictures are compared on white."""

    max_change: float = Field(description="Largest |change| of a channel, 0-255.")
    mean_change: float = Field(description="Mean |change|, 0-255.")
    psnr: float | None = Field(description="Decibels; null for identical pictures.")
    ssim: float = Field(description="Structural similarity, 11 px window, 1 is identical.")
    delta_e_p95: float = Field(description="95th percentile of CIEDE2000.")
    lpips: float = Field(description="Perceptual distance, backbone as named.")
    lpips_backbone: str
    lpips_standard: float | None = Field(
        description="The original LPIPS, AlexNet backbone; null where its weights are not on this machine."
    )
    lpips_vgg: float | None = Field(
        description="The same with the VGG16 backbone, at most 256 px short side; null if not measured."
    )


class Signature(_Record):
    """Content Credentials (C2PA) that were added after the file was measured; its pixels are the same."""

    signer: str = Field(description="Common name in the certificate that it was signed with.")
    algorithm: str
    unsigned_sha256: str = Field(description="Of the file before it was signed.")


class Certificate(_Record):
    """Everything needed to check, cite or repeat a protection run. Figures that were not measured are null."""

    schema_version: Literal[1] = 1
    tool: str
    created: str = Field(description="UTC, ISO 8601.")
    input: FileFacts
    output: FileFacts
    config: ProtectConfig
    config_sha256: str
    seed: int
    versions: dict[str, str]
    device: str
    models: list[ModelFacts]
    target: str | None
    steps: int
    seconds: float
    peak_memory_bytes: int | None
    visibility: VisibilityFigures
    visibility_caps: dict[str, float]
    effects: list[ModelEffect]
    left_out: list[str] = Field(
        default=[], description="What the input carried that does not hold for a changed picture."
    )
    signature: Signature | None = Field(default=None, description="Null for a file that was not signed.")
    text_space_shift: None = Field(default=None, description="Not measured: no model with a text encoder was used.")
    verdict: str


class PairReport(_Record):
    """What `cloak inspect --original` says about a cloaked file."""

    original: FileFacts
    cloaked: FileFacts
    visibility: VisibilityFigures
    models: list[ModelFacts]
    effects: list[ModelEffect]
    verdict: str


def package_versions() -> dict[str, str]:
    """Versions of what decides the bytes, and of Python."""
    found = {name: importlib.metadata.version(name) for name in _PACKAGES if _is_installed(name)}
    return {"python": platform.python_version(), **found}


def _is_installed(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def model_facts(surrogate: Surrogate) -> ModelFacts:
    """Identity of a loaded model."""
    return ModelFacts(
        name=surrogate.name,
        family=surrogate.family,
        embedded=surrogate.embedded,
        revision=surrogate.revision,
        sha256=surrogate.sha256,
    )


def file_facts(data: bytes, name: str) -> FileFacts:
    """Identity and shape of a picture file's contents."""
    return document_facts(read_picture(data, name=name), len(data))


def document_facts(document: PictureDocument, size: int | None) -> FileFacts:
    """Facts of the picture that was read; `size` in bytes, None where it was no file."""
    return FileFacts(
        name=document.name,
        sha256=document.sha256,
        bytes=size,
        width=document.size[0],
        height=document.size[1],
        mode=document.mode,
        format=document.format,
    )


def measure_visibility(
    x: Tensor, y: Tensor, *, vgg: bool = True, measure: Callable[[Tensor], Visibility] | None = None
) -> VisibilityFigures:
    """Compare two pictures (1, 3, H, W) in [0, 1]; memory stays bounded for large ones.

    Args:
        x: original.
        y: cloaked.
        vgg: whether to add the slower VGG16 distance.
        measure: what `visibility_from(x, lpips("alex"))` gave, where it has been made already.
    """
    metric = lpips("alex")
    found = (measure or visibility_from(x, metric))(y)
    squared, structure = _in_bands(x, y)
    standard = standard_lpips("alex")
    return VisibilityFigures(
        max_change=255 * found.linf,
        mean_change=255 * float((y - x).abs().mean()),
        psnr=None if squared == 0 else -10 * float(torch.log10(torch.tensor(squared))),
        ssim=min(1.0, structure),  # rounding can exceed it a little
        delta_e_p95=found.delta_e,
        lpips=found.lpips,
        lpips_backbone=metric.name,
        lpips_standard=None if standard is None else standard.measure(x, y),
        lpips_vgg=_small_distance(x, y) if vgg else None,
    )


def _small_distance(x: Tensor, y: Tensor) -> float:
    """VGG16 distance at 256 px short side; at full size it would take longer than the cloak."""
    return lpips("vgg").measure(*(resized(picture, scale_for(picture, 256)) for picture in (x, y)))


def _in_bands(x: Tensor, y: Tensor) -> tuple[float, float]:
    """Mean squared error and mean SSIM, in bands of rows."""
    squared = structure = rows = 0.0
    for top in range(0, x.shape[-2], _BAND):
        first, second = x[..., top : top + _BAND, :], y[..., top : top + _BAND, :]
        count = min(_BAND, x.shape[-2] - top)
        squared += count * float((first - second).pow(2).mean())
        if min(first.shape[-2:]) < 11:  # SSIM's window does not fit: repeat the last rows and columns
            pad = (0, max(0, 11 - first.shape[-1]), 0, max(0, 11 - first.shape[-2]))
            first, second = (torch.nn.functional.pad(p, pad, mode="replicate") for p in (first, second))
        structure += count * float(ssim(first, second, window_size=11).mean())
        rows += count
    return squared / rows, structure / rows


def inspect_pair(original: Path, cloaked: Path, *, models: tuple[str, ...] = ("auto",)) -> PairReport:
    """Compare a cloaked file with its original: how visible, how strong.

    Raises:
        InputError: one of them cannot be read.
        UsageError: they differ in size.
    """
    before, after = read_picture(original), read_picture(cloaked)
    if before.size != after.size:
        raise UsageError(
            f"{cloaked.name} is {after.size[0]}x{after.size[1]} but {original.name} is "
            f"{before.size[0]}x{before.size[1]}; the comparison needs pictures of equal size."
        )
    x, y = (d.pixels if d.alpha is None else d.pixels * d.alpha + 1 - d.alpha for d in (before, after))
    surrogates = [load_surrogate(name) for name in resolve_models(list(models))]
    comparison = Comparison(x, y, metric=lpips("alex"))
    effects = [comparison.effect_on(surrogate) for surrogate in surrogates]
    visibility = measure_visibility(x, y)
    return PairReport(
        original=file_facts(original.read_bytes(), original.name),
        cloaked=file_facts(cloaked.read_bytes(), cloaked.name),
        visibility=visibility,
        models=[model_facts(surrogate) for surrogate in surrogates],
        effects=effects,
        verdict=verdict_for(visibility.lpips, effects, all_embedded=all(s.embedded for s in surrogates)),
    )
