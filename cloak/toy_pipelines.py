"""Whole latent diffusion models with random weights, small enough to be made in a test."""

import importlib
import json
from pathlib import Path
from typing import Any, Literal

from cloak.surrogates.parts import silent_transformers
from cloak.testing import initialise

__all__ = ["ToyPipeline", "write_toy_pipeline", "write_toy_tokenizer"]


ToyPipeline = Literal["sd15", "sd21", "sdxl", "miniature"]
_WIDTH = 32
_WORDS = ("a", "cat", "dog", "style", "sks")


def write_toy_pipeline(folder: Path, kind: ToyPipeline = "sd15", seed: int = 0) -> Path:
    """Write a randomly initialised latent diffusion model of a few thousand numbers, in the diffusers layout.

    Args:
        folder: where to; made if it is not there.
        kind: whose structure. "sd21" predicts v, "sdxl" has two text encoders, "miniature" an image encoder.
        seed: of its weights.

    Returns:
        `folder`; `StableDiffusionPipeline.from_pretrained`, or that of XL, loads it.
    """
    diffusers = importlib.import_module("diffusers")
    networks = _networks(kind)
    for index, (name, network) in enumerate(networks.items()):
        initialise(network, seed + index)
        with silent_transformers():
            network.save_pretrained(folder / name)
        write_toy_tokenizer(folder / name.replace("text_encoder", "tokenizer")) if "text" in name else None
    settings: dict[str, Any] = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
    settings |= {"prediction_type": "v_prediction" if kind == "sd21" else "epsilon", "clip_sample": False}
    settings |= {"set_alpha_to_one": False, "steps_offset": 1}
    diffusers.DDIMScheduler(**settings).save_pretrained(folder / "scheduler")
    _write_index(folder, list(networks), xl=kind == "sdxl")
    return folder


def _networks(kind: ToyPipeline) -> dict[str, Any]:
    diffusers, transformers = (importlib.import_module(name) for name in ("diffusers", "transformers"))
    xl = kind == "sdxl"
    text: dict[str, Any] = {
        "hidden_size": _WIDTH,
        "intermediate_size": _WIDTH,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
    }
    text |= {"vocab_size": len(_vocabulary()), "max_position_embeddings": 8, "projection_dim": _WIDTH}
    text |= {"bos_token_id": len(_vocabulary()) - 2, "eos_token_id": len(_vocabulary()) - 1}
    blocks: dict[str, Any] = {"down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D"]}
    blocks |= {"up_block_types": ["CrossAttnUpBlock2D", "UpBlock2D"], "block_out_channels": [_WIDTH, _WIDTH]}
    added: dict[str, Any] = {"addition_embed_type": "text_time", "addition_time_embed_dim": 8} if xl else {}
    added |= {"projection_class_embeddings_input_dim": 6 * 8 + _WIDTH} if xl else {}
    networks: dict[str, Any] = {
        "vae": diffusers.AutoencoderKL(
            block_out_channels=(_WIDTH, _WIDTH, 2 * _WIDTH, 2 * _WIDTH),  # groups of one value cannot be normalised
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            layers_per_block=1,
            latent_channels=4,
            scaling_factor=0.13025 if xl else 0.18215,
        ),
        "unet": diffusers.UNet2DConditionModel(
            sample_size=8,
            layers_per_block=1,
            cross_attention_dim=_WIDTH * (2 if xl else 1),
            attention_head_dim=8,
            **blocks,
            **added,
        ),
        "text_encoder": transformers.CLIPTextModel(transformers.CLIPTextConfig(**text)),
    }
    if xl:
        networks["text_encoder_2"] = transformers.CLIPTextModelWithProjection(transformers.CLIPTextConfig(**text))
    if kind == "miniature":
        shape: dict[str, Any] = {"image_size": 32, "patch_size": 8, "projection_dim": _WIDTH, "num_hidden_layers": 2}
        shape |= {"hidden_size": _WIDTH, "intermediate_size": _WIDTH, "num_attention_heads": 2}
        vision = transformers.CLIPVisionConfig(**shape)
        networks["image_encoder"] = transformers.CLIPVisionModelWithProjection(vision)
    return networks


def _vocabulary() -> list[str]:
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    return [*letters, *(letter + "</w>" for letter in letters), *_merged_words(), "<|startoftext|>", "<|endoftext|>"]


def _merges() -> list[tuple[str, str]]:
    """Pairs that join the letters of the known words from left to right."""
    pairs: list[tuple[str, str]] = []
    for word in _WORDS:
        pieces = [*word[:-1], word[-1] + "</w>"]
        while len(pieces) > 1:
            pairs.append((pieces[0], pieces[1]))
            pieces[:2] = ["".join(pieces[:2])]
    return list(dict.fromkeys(pairs))


def _merged_words() -> list[str]:
    return list(dict.fromkeys("".join(pair) for pair in _merges()))


def write_toy_tokenizer(folder: Path) -> None:
    """Write a CLIP tokenizer of a few words and all letters, whose prompts are 8 tokens long."""
    folder.mkdir(parents=True, exist_ok=True)
    numbered = {token: index for index, token in enumerate(_vocabulary())}
    (folder / "vocab.json").write_text(json.dumps(numbered), encoding="utf-8")
    lines = ["#version: 0.2", *(" ".join(pair) for pair in _merges())]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    settings = {"tokenizer_class": "CLIPTokenizer", "model_max_length": 8, "bos_token": "<|startoftext|>"}
    settings |= dict.fromkeys(("eos_token", "pad_token", "unk_token"), "<|endoftext|>")
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")


def _write_index(folder: Path, names: list[str], *, xl: bool) -> None:
    """The file that tells diffusers which class each folder holds."""
    kinds = {
        "vae": ("diffusers", "AutoencoderKL"),
        "unet": ("diffusers", "UNet2DConditionModel"),
        "scheduler": ("diffusers", "DDIMScheduler"),
        "text_encoder": ("transformers", "CLIPTextModel"),
        "text_encoder_2": ("transformers", "CLIPTextModelWithProjection"),
        "tokenizer": ("transformers", "CLIPTokenizer"),
        "tokenizer_2": ("transformers", "CLIPTokenizer"),
        "image_encoder": ("transformers", "CLIPVisionModelWithProjection"),
    }
    here = {*names, "scheduler", *(name.replace("text_encoder", "tokenizer") for name in names)}
    index: dict[str, Any] = {"_class_name": "StableDiffusionXLPipeline" if xl else "StableDiffusionPipeline"}
    index |= {name: list(kind) for name, kind in kinds.items() if name in here}
    if not xl:
        index |= {"safety_checker": [None, None], "feature_extractor": [None, None], "requires_safety_checker": False}
    (folder / "model_index.json").write_text(json.dumps(index, indent=1), encoding="utf-8")
