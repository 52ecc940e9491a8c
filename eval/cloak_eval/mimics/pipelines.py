"""A diffusers pipeline as a thief uses it: its parts are trained in place, and it draws by itself.

Stable Diffusion 1.5, 2.1, XL and the miniature go the same way.
"""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cloak.errors import ModelError
from cloak.surrogates import TextEmbedding, model_path
from cloak.surrogates.diffusers_loading import UNUSABLE, first_line, silent_diffusers
from cloak.surrogates.inspection import PICKLE_SUFFIXES, refuse_pickle, weights_sha256
from cloak.surrogates.parts import silent_transformers
from cloak.surrogates.store import looks_like_path

__all__ = [
    "autocast",
    "decode_latents",
    "embed_prompts",
    "latent_distribution",
    "load_pipeline",
    "pipeline_folder",
    "pipeline_sha256",
    "predict",
    "resolution_of",
    "text_towers",
]

Pipeline = Any  # diffusers has no type for what Stable Diffusion's pipelines share


def pipeline_folder(name_or_path: str | Path) -> Path:
    """The folder of a model that can draw.

    Raises:
        UnknownNameError, MissingModelError: see `cloak.surrogates.model_path`.
        ModelError: it has no denoiser or no text encoder.
    """
    name = str(name_or_path)
    folder = Path(name).expanduser() if looks_like_path(name) else model_path(name)
    for part in ("unet", "text_encoder", "vae"):
        if not (folder / part / "config.json").is_file():
            raise ModelError(f"{folder} has no {part}; a mimic needs the complete pipeline in the diffusers layout.")
    return folder


def pipeline_sha256(folder: Path) -> str:
    """One hash of all weight files of a pipeline."""
    return weights_sha256(sorted(folder.rglob("*.safetensors")))


def load_pipeline(
    name_or_path: str | Path, *, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
) -> Pipeline:
    """Load a text-to-image pipeline from this machine, frozen; nothing is downloaded and no pickle is read.

    Args:
        name_or_path: name in the catalogue, or a diffusers folder.
        device: where it computes.
        dtype: of the frozen weights; the autoencoder stays float32, whose half precision overflows.

    Raises:
        ModelError: it cannot be used.
    """
    from diffusers import AutoPipelineForText2Image

    folder = pipeline_folder(name_or_path)
    for path in folder.rglob("*"):
        if path.suffix.lower() in PICKLE_SUFFIXES:
            refuse_pickle(path)
    try:
        with silent_diffusers(), silent_transformers(), _no_bars():
            kind: Any = AutoPipelineForText2Image
            pipe = kind.from_pretrained(str(folder), local_files_only=True, use_safetensors=True)
    except UNUSABLE as error:
        raise ModelError(f"{folder} cannot be used as a pipeline: {first_line(error)}") from error
    pipe.set_progress_bar_config(disable=True)
    for network in _networks(pipe):
        nn.Module.to(network, device=device, dtype=torch.float32 if network is pipe.vae else dtype)
        network.eval().requires_grad_(False)
    return pipe


@contextlib.contextmanager
def _no_bars() -> Iterator[None]:
    from diffusers.utils import logging

    shows_bars = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shows_bars:
            logging.enable_progress_bar()


def _networks(pipe: Pipeline) -> list[Any]:
    names = ("vae", "unet", "text_encoder", "text_encoder_2", "image_encoder")
    return [network for name in names if (network := getattr(pipe, name, None)) is not None]


def resolution_of(pipe: Pipeline) -> int:
    """Side of the pictures that the model was made for, pixels."""
    size = pipe.unet.config.sample_size
    return int((size if isinstance(size, int) else size[0]) * pipe.vae_scale_factor)


def text_towers(pipe: Pipeline) -> list[tuple[Any, Any]]:
    """(tokenizer, text encoder) of each one the pipeline has."""
    pairs = [(pipe.tokenizer, pipe.text_encoder)]
    if getattr(pipe, "text_encoder_2", None) is not None:
        pairs.append((pipe.tokenizer_2, pipe.text_encoder_2))
    return pairs


def embed_prompts(pipe: Pipeline, prompts: Sequence[str]) -> TextEmbedding:
    """Prompts as the denoiser reads them, differentiable with respect to the text encoders."""
    towers = text_towers(pipe)
    outputs = [_read(tokenizer, encoder, list(prompts), len(towers) > 1) for tokenizer, encoder in towers]
    if len(towers) == 1:
        return TextEmbedding(outputs[0].last_hidden_state, outputs[0].pooler_output)
    tokens = torch.cat([output.hidden_states[-2] for output in outputs], dim=-1)  # as SDXL was trained
    return TextEmbedding(tokens, outputs[-1].text_embeds)


def _read(tokenizer: Any, encoder: Any, prompts: list[str], hidden: bool) -> Any:
    length = tokenizer.model_max_length
    ids = tokenizer(prompts, padding="max_length", truncation=True, max_length=length, return_tensors="pt").input_ids
    return encoder(ids.to(encoder.device), output_hidden_states=hidden)


@torch.no_grad()
def latent_distribution(pipe: Pipeline, pictures: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation of the scaled latents of pictures (B, 3, H, W) in [0, 1], on the CPU; each (B, C, h, w)."""
    vae = pipe.vae
    found = [vae.encode(2 * each[None].to(vae.device) - 1).latent_dist for each in pictures]
    shift, factor = float(getattr(vae.config, "shift_factor", None) or 0), float(vae.config.scaling_factor)
    mean = torch.cat([(each.mean - shift) * factor for each in found])
    return mean.float().cpu(), torch.cat([each.std * factor for each in found]).float().cpu()


@torch.no_grad()
def decode_latents(pipe: Pipeline, latents: Tensor) -> Tensor:
    """Pictures (B, 3, H, W) in [0, 1] of scaled latents, on the CPU."""
    vae = pipe.vae
    shift, factor = float(getattr(vae.config, "shift_factor", None) or 0), float(vae.config.scaling_factor)
    raw = latents.to(vae.device).float() / factor + shift
    pictures = [vae.decode(each[None]).sample.float().cpu() / 2 + 0.5 for each in raw]
    return torch.cat(pictures).clamp(0, 1)


def predict(pipe: Pipeline, noisy: Tensor, timestep: Tensor, text: TextEmbedding) -> Tensor:
    """What the denoiser puts out for noisy scaled latents (B, C, h, w); `timestep` (B,)."""
    unet = pipe.unet
    added = None
    if unet.config.addition_embed_type == "text_time":  # SDXL is also told the size the picture should look like
        height, width = (side * pipe.vae_scale_factor for side in noisy.shape[-2:])
        sizes = torch.tensor([[height, width, 0, 0, height, width]], device=noisy.device).expand(len(noisy), -1)
        added = {"text_embeds": text.pooled, "time_ids": sizes.to(text.pooled.dtype)}
    output: Tensor = unet(noisy, timestep, encoder_hidden_states=text.tokens, added_cond_kwargs=added).sample
    return output


@contextlib.contextmanager
def autocast(pipe: Pipeline, dtype: torch.dtype) -> Iterator[None]:
    """Mixed precision where `dtype` is not float32."""
    with torch.autocast(pipe.unet.device.type, dtype=dtype, enabled=dtype != torch.float32):
        yield
