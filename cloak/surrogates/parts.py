"""The networks of a pipeline folder besides its autoencoder, each loaded when it is first needed."""

import contextlib
import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn

from cloak.errors import ModelError
from cloak.surrogates.diffusers_loading import UNUSABLE, first_line, silent_diffusers, weight_files
from cloak.surrogates.inspection import read_header, weights_sha256

__all__ = [
    "LoadedPart",
    "TextTower",
    "centred",
    "has_part",
    "load_clip_model",
    "load_image_encoder",
    "load_text_tower",
    "load_tokenizer",
    "load_unet",
    "pixel_statistics",
    "silent_transformers",
    "token_ids",
]

_MEAN, _DEVIATION = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)  # those of CLIP


@dataclass(frozen=True, slots=True)
class LoadedPart:
    """A frozen network and the sha256 of its weight file(s)."""

    module: Any
    sha256: str


@dataclass(frozen=True, slots=True)
class TextTower:
    """A text encoder with its tokenizer.

    Args:
        part: the encoder.
        tokenizer: of transformers.
        projects: whether the encoder puts out a projection of the pooled vector.
    """

    part: LoadedPart
    tokenizer: Any
    projects: bool

    def ids(self, prompts: list[str]) -> Tensor:
        """(B, T) token numbers, padded or cut to the encoder's window."""
        return token_ids(self.tokenizer, prompts, self.part.module.config.max_position_embeddings)


def token_ids(tokenizer: Any, prompts: list[str], window: int) -> Tensor:
    """(B, T) token numbers, padded or cut to `window` tokens or what the tokenizer allows."""
    length = min(tokenizer.model_max_length, window)
    options = {"padding": "max_length", "truncation": True, "max_length": length, "return_tensors": "pt"}
    ids: Tensor = tokenizer(prompts, **options).input_ids
    return ids


def load_tokenizer(folder: Path) -> Any:
    """The CLIP tokenizer in a folder; raises ModelError when there is none that can be used."""
    from transformers import CLIPTokenizer

    try:
        with silent_transformers():
            return CLIPTokenizer.from_pretrained(str(folder), local_files_only=True)
    except Exception as error:  # the tokenizers library has no class of its own for files it cannot read
        raise ModelError(f"{folder} holds no tokenizer that can be used: {first_line(error)}") from error


def centred(x: Tensor, side: int) -> Tensor:
    """Short side resized to `side`, and the square in the middle, (B, 3, side, side)."""
    height, width = x.shape[-2:]
    scale = side / min(height, width)
    size = (max(side, round(height * scale)), max(side, round(width * scale)))
    x = nn.functional.interpolate(x, size=size, mode="bicubic", align_corners=False, antialias=True).clamp(0, 1)
    top, left = (size[0] - side) // 2, (size[1] - side) // 2
    return x[..., top : top + side, left : left + side]


def has_part(folder: Path, name: str, stem: str) -> bool:
    """Whether a pipeline folder holds the part called `name` with weights of `stem`, so that it can be loaded."""
    place = folder / name
    return (place / "config.json").is_file() and any(place.glob(f"{stem}*.safetensors"))


def load_unet(folder: Path, dtype: torch.dtype) -> LoadedPart:
    """The denoiser of a pipeline folder; it never takes more than its size in `dtype` and one tensor.

    Raises:
        ModelError: it cannot be used.
    """
    return _load(folder / "unet", "diffusion_pytorch_model", lambda place, files, _variant: _unet(place, files, dtype))


def load_text_tower(folder: Path, number: int) -> TextTower:
    """The first (0) or second (1) text encoder of a pipeline folder, with its tokenizer.

    Raises:
        ModelError: it cannot be used.
    """
    suffix = "_2" if number else ""
    place = folder / f"text_encoder{suffix}"
    class_name = _class_name(place, ("CLIPTextModel", "CLIPTextModelWithProjection"))
    part = _load(place, "model", lambda at, _files, variant: _from_transformers(at, class_name, variant))
    tokenizer = load_tokenizer(folder / f"tokenizer{suffix}")
    return TextTower(part, tokenizer, class_name.endswith("WithProjection"))


def load_image_encoder(folder: Path) -> LoadedPart:
    """The image encoder of a pipeline folder.

    Raises:
        ModelError: it cannot be used.
    """
    place = folder / "image_encoder"
    class_name = _class_name(place, ("CLIPVisionModelWithProjection",))
    return _load(place, "model", lambda at, _files, variant: _from_transformers(at, class_name, variant))


def load_clip_model(folder: Path) -> LoadedPart:
    """Both towers of a CLIP model with their projections.

    Raises:
        ModelError: it cannot be used.
    """
    class_name = _class_name(folder, ("CLIPModel",))
    return _load(folder, "model", lambda at, _files, variant: _from_transformers(at, class_name, variant))


def pixel_statistics(folder: Path) -> tuple[Tensor, Tensor]:
    """Mean and deviation, (1, 3, 1, 1), that the image encoder's pictures are normalised with; CLIP's unless stated."""
    stated: dict[str, Any] = {}
    for place in (folder / "image_encoder", folder / "feature_extractor", folder):
        if (path := place / "preprocessor_config.json").is_file():
            stated = _read_json(path)
            break
    mean, deviation = stated.get("image_mean", _MEAN), stated.get("image_std", _DEVIATION)
    return torch.tensor(mean).view(1, 3, 1, 1), torch.tensor(deviation).view(1, 3, 1, 1)


@contextlib.contextmanager
def silent_transformers() -> Iterator[None]:
    """No bars and no log of transformers; what it would log about missing tensors is raised as an error here."""
    from transformers.utils import logging as transformers_logging

    controls: Any = transformers_logging
    verbosity, shows_bars = controls.get_verbosity(), controls.is_progress_bar_enabled()
    controls.set_verbosity(logging.CRITICAL)
    controls.disable_progress_bar()
    try:
        yield
    finally:
        controls.set_verbosity(verbosity)
        if shows_bars:
            controls.enable_progress_bar()


def _load(place: Path, stem: str, build: Callable[[Path, list[Path], str | None], Any]) -> LoadedPart:
    files, variant = weight_files(place, stem)
    for file in files:
        read_header(file)
    try:
        with silent_diffusers():
            module = build(place, files, variant)
    except UNUSABLE as error:
        raise ModelError(f"{place} cannot be used: {first_line(error)}") from error
    return LoadedPart(module.eval().requires_grad_(False), weights_sha256(files))


def _unet(place: Path, files: list[Path], dtype: torch.dtype) -> nn.Module:
    from diffusers import UNet2DConditionModel

    kind: Any = UNet2DConditionModel
    with torch.device("meta"):
        module: nn.Module = kind.from_config(_read_json(place / "config.json"))
    tensors: dict[str, Tensor] = {}
    for path in files:
        with safe_open(path, framework="pt") as file:
            tensors |= {name: file.get_tensor(name).to(dtype) for name in file.keys()}  # noqa: SIM118 (no mapping)
    module.load_state_dict(tensors, strict=True, assign=True)
    return module


def _from_transformers(place: Path, class_name: str, variant: str | None) -> Any:
    import transformers

    options = {"local_files_only": True, "use_safetensors": True, "variant": variant, "output_loading_info": True}
    with silent_transformers():
        module, loading = getattr(transformers, class_name).from_pretrained(str(place), **options)
    if missing := sorted(loading["missing_keys"]):
        raise ValueError(f"it lacks {len(missing)} tensors of its {class_name}, e.g. {missing[0]}; get it again.")
    return module


def _class_name(place: Path, known: tuple[str, ...]) -> str:
    names = _read_json(place / "config.json").get("architectures") or [known[0]]
    if names[0] not in known:
        raise ModelError(f"{place / 'config.json'} is that of {names[0]}; it must be one of {', '.join(known)}.")
    return str(names[0])


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise ModelError(f"{path} cannot be read as a model's configuration: {error}.") from error
