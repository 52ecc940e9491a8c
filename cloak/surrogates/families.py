"""Which family an autoencoder belongs to, and the configuration its publisher gave it."""

import json
from pathlib import Path
from typing import Any

from cloak.surrogates.inspection import Header

__all__ = ["AUTOENCODER_CLASSES", "guess_family", "header_hints", "latent_channels", "published_config"]

AUTOENCODER_CLASSES = (
    "AutoencoderDC",
    "AutoencoderKL",
    "AutoencoderKLFlux2",
    "AutoencoderKLQwenImage",
    "AutoencoderTiny",
)
_FAMILY_OF_CLASS = {"AutoencoderKLFlux2": "flux2", "AutoencoderDC": "sana", "AutoencoderKLQwenImage": "qwen-image"}
_FAMILY_OF_FACTOR = {0.13025: "sdxl", 1.5305: "sd3", 0.3611: "flux1"}
_PUBLISHED = {"sd1": "sd15", "sd2": "sd21"}
_PUBLISHED_TINY = {"sd1": "taesd", "sd2": "taesd", "sdxl": "taesdxl", "sd3": "taesd3", "flux1": "taef1"}

# Autoencoders of several families have tensors of the same shapes; then what stands beside them in a full checkpoint,
# the file's own description or its name tells them apart: (part of a hint, latent channels, family), first match wins.
_HINTS = (
    ("conditioner.embedders.1.", 4, "sdxl"),
    ("cond_stage_model.model.", 4, "sd2"),
    ("cond_stage_model.transformer.", 4, "sd1"),
    (".joint_blocks.", 16, "sd3"),
    (".double_blocks.", 16, "flux1"),
    ("diffusion-xl", 4, "sdxl"),
    ("sdxl", 4, "sdxl"),
    ("diffusion-v2", 4, "sd2"),
    ("diffusion-2", 4, "sd2"),
    ("sd2", 4, "sd2"),
    ("diffusion-3", 16, "sd3"),
    ("sd3", 16, "sd3"),
)


def published_config(name: str) -> dict[str, Any]:
    """The configuration of the autoencoder called `name` in the catalogue, as its publisher released it."""
    text = (Path(__file__).parent / "published" / f"{name}.json").read_text(encoding="utf-8")
    config: dict[str, Any] = json.loads(text)
    return config


def family_config(class_name: str, family: str) -> dict[str, Any]:
    """The published configuration of `family` for that class; of Stable Diffusion 1 where the family is unknown."""
    if class_name == "AutoencoderTiny":
        return published_config(_PUBLISHED_TINY.get(family, "taesd"))
    if class_name == "AutoencoderKL" and family == "other":
        return published_config("sd15")
    return published_config(_PUBLISHED.get(family, family))


def latent_channels(config: dict[str, Any]) -> int:
    """Channels of the latent before any patches are made of it."""
    return int(config.get("z_dim") or config.get("latent_channels") or 4)


def header_hints(header: Header) -> str:
    """What a file tells about its family besides the autoencoder itself, lower case."""
    markers = [hint for hint, _, _ in _HINTS if hint.endswith(".")]
    found = [marker for marker in markers if any(marker in name for name in header.shapes)]
    described = header.metadata.get("modelspec.architecture", "")
    return " ".join([*found, described, header.path.stem]).lower()


def guess_family(class_name: str, config: dict[str, Any], hints: str) -> str:
    """Family of an autoencoder: by its class, its scaling factor, else by hints; "other" when nothing fits.

    Args:
        class_name: one of `AUTOENCODER_CLASSES`.
        config: what is known of its configuration.
        hints: lower-case text such as a file name.
    """
    if class_name in _FAMILY_OF_CLASS:
        return _FAMILY_OF_CLASS[class_name]
    if config.get("scaling_factor") in _FAMILY_OF_FACTOR:
        return _FAMILY_OF_FACTOR[config["scaling_factor"]]
    channels = latent_channels(config)
    for hint, hinted_channels, family in _HINTS:
        if hint in hints and channels == hinted_channels:
            return family
    return {4: "sd1", 16: "flux1"}.get(channels, "other")
