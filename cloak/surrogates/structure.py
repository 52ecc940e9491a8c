"""The configuration of an autoencoder that stands in a single file, read from the names and shapes of its tensors."""

import re
from dataclasses import dataclass
from typing import Any

from cloak.errors import ModelError
from cloak.surrogates.families import family_config, guess_family, header_hints
from cloak.surrogates.inspection import Header

__all__ = ["Structure", "read_structure"]

Shapes = dict[str, tuple[int, ...]]

_PARTS = ("encoder.", "decoder.", "quant_conv.", "post_quant_conv.", "bn.")
_PREFIXES = ("", "first_stage_model.", "vae.")
_RENAMED = {  # older and original spellings of the same tensors
    "encoder.quant_conv.": "quant_conv.",
    "decoder.post_quant_conv.": "post_quant_conv.",
    ".query.": ".to_q.",
    ".key.": ".to_k.",
    ".value.": ".to_v.",
    ".proj_attn.": ".to_out.0.",
}


@dataclass(frozen=True, slots=True)
class Structure:
    """How to build and fill an autoencoder from a file.

    Args:
        class_name: diffusers class.
        family: see `Surrogate`.
        config: arguments of the class.
        is_original: whether tensors are named as in the first release of latent diffusion, not as in diffusers.
        names: tensor names as the model spells them, to the names in the file.
    """

    class_name: str
    family: str
    config: dict[str, Any]
    is_original: bool
    names: dict[str, str]


def read_structure(header: Header) -> Structure:
    """Recognise the autoencoder in a file.

    Raises:
        ModelError: it holds no autoencoder that is known, or one without its decoder.
    """
    names = _autoencoder_names(header)
    shapes = {name: header.shapes[stored] for name, stored in names.items()}
    if not any(name.startswith("decoder.") for name in shapes):
        raise ModelError(f"{header.path} holds an encoder without its decoder; get the complete autoencoder.")
    is_original = "encoder.down.0.block.0.conv1.weight" in shapes
    class_name = _class_name(header, shapes, is_original=is_original)
    try:
        inferred = _READERS[class_name](shapes, "down.{}.block.{}" if is_original else "down_blocks.{}.resnets.{}")
    except (KeyError, IndexError, ValueError) as error:
        raise ModelError(f"{header.path} lacks tensors of its {class_name}, e.g. {error}; get it again.") from error
    family = guess_family(class_name, inferred, header_hints(header))
    config = {**family_config(class_name, family), **inferred}
    return Structure(class_name, family, config, is_original, names)


def _autoencoder_names(header: Header) -> dict[str, str]:
    for prefix in _PREFIXES:
        stored = [name for name in header.shapes if name.startswith(tuple(prefix + part for part in _PARTS))]
        names = {_rename(name.removeprefix(prefix)): name for name in stored}
        if "encoder.conv_in.weight" in names or "encoder.layers.0.weight" in names:
            return names
    raise ModelError(f"{header.path} holds no autoencoder that is known; give an autoencoder or a full checkpoint.")


def _rename(name: str) -> str:
    for old, new in _RENAMED.items():
        name = name.replace(old, new)
    return name


def _class_name(header: Header, shapes: Shapes, *, is_original: bool) -> str:
    if "encoder.layers.0.weight" in shapes:
        return "AutoencoderTiny"
    if is_original or "encoder.down_blocks.0.resnets.0.conv1.weight" in shapes:
        return "AutoencoderKLFlux2" if "bn.running_mean" in shapes else "AutoencoderKL"
    if len(shapes["encoder.conv_in.weight"]) == 5 and "encoder.down_blocks.0.norm1.gamma" in shapes:
        return "AutoencoderKLQwenImage"
    if "encoder.down_blocks.0.0.conv1.weight" in shapes:
        return "AutoencoderDC"
    raise ModelError(f"{header.path} holds an autoencoder of an unknown structure.")


def _count(shapes: Shapes, pattern: str) -> int:
    """One more than the largest number that stands for `{}` in names beginning like `pattern`."""
    expression = re.compile(re.escape(pattern).replace(r"\{\}", r"(\d+)"))
    return 1 + max((int(match[1]) for name in shapes if (match := expression.match(name))), default=-1)


def _kl(shapes: Shapes, block: str) -> dict[str, Any]:
    level = block.partition(".")[0]
    levels = _count(shapes, f"encoder.{level}.{{}}.")
    widths = [shapes[f"encoder.{block.format(index, 0)}.conv1.weight"][0] for index in range(levels)]
    return {
        "block_out_channels": widths,
        "down_block_types": ["DownEncoderBlock2D"] * levels,
        "up_block_types": ["UpDecoderBlock2D"] * levels,
        "layers_per_block": _count(shapes, f"encoder.{block.format(0, '{}')}."),
        "latent_channels": shapes["decoder.conv_in.weight"][1],
        "use_quant_conv": "quant_conv.weight" in shapes,
        "use_post_quant_conv": "post_quant_conv.weight" in shapes,
        "mid_block_add_attention": any(".attn_1." in name or ".mid_block.attentions." in name for name in shapes),
    }


def _flux2(shapes: Shapes, block: str) -> dict[str, Any]:
    config = _kl(shapes, block)
    levels, is_original = len(config["block_out_channels"]), block.startswith("down.")
    order = range(levels) if is_original else reversed(range(levels))
    up = "up.{}.block.0" if is_original else "up_blocks.{}.resnets.0"
    widths = [shapes[f"decoder.{up.format(index)}.conv1.weight"][0] for index in order]
    return {**config, "decoder_block_out_channels": widths}


def _qwen_image(shapes: Shapes, _block: str) -> dict[str, Any]:
    channels = shapes["decoder.conv_in.weight"][1]
    if channels != 16:
        raise ValueError(f"a latent of 16 channels, it has {channels}")
    return {"base_dim": shapes["encoder.conv_in.weight"][0], "z_dim": channels}


def _tiny(shapes: Shapes, _block: str) -> dict[str, Any]:
    encoder, decoder = _tiny_groups(shapes, "encoder"), _tiny_groups(shapes, "decoder")
    last = f"encoder.layers.{_count(shapes, 'encoder.layers.{}.') - 1}.weight"
    return {
        "num_encoder_blocks": encoder,
        "num_decoder_blocks": decoder,
        "encoder_block_out_channels": [shapes["encoder.layers.0.weight"][0]] * len(encoder),
        "decoder_block_out_channels": [shapes["decoder.layers.0.weight"][0]] * len(decoder),
        "latent_channels": shapes[last][0],
    }


def _tiny_groups(shapes: Shapes, part: str) -> list[int]:
    """Numbers of blocks between the plain convolutions of a sequence."""
    groups: list[int] = []
    for index in range(_count(shapes, f"{part}.layers.{{}}.")):
        if f"{part}.layers.{index}.weight" in shapes:
            groups.append(0)
        elif f"{part}.layers.{index}.conv.0.weight" in shapes:
            groups[-1] += 1
    return groups[:-1]


def _dc(shapes: Shapes, _block: str) -> dict[str, Any]:
    config: dict[str, Any] = {"latent_channels": shapes["decoder.conv_in.weight"][1]}
    for part, blocks in (("encoder", "down_blocks"), ("decoder", "up_blocks")):
        stages = [_dc_stage(shapes, f"{part}.{blocks}.{i}") for i in range(_count(shapes, f"{part}.{blocks}.{{}}."))]
        config[f"{part}_block_types"] = [kind for kind, _, _, _ in stages]
        config[f"{part}_block_out_channels"] = [width for _, width, _, _ in stages]
        config[f"{part}_layers_per_block"] = [layers for _, _, layers, _ in stages]
        config[f"{part}_qkv_multiscales"] = [kernels for _, _, _, kernels in stages]
    return config


def _dc_stage(shapes: Shapes, stage: str) -> tuple[str, int, int, list[int]]:
    """Kind of block, width, number of blocks and kernel sizes of the attention's scales."""
    index = range(_count(shapes, f"{stage}.{{}}."))
    attention = [f"{stage}.{i}.attn" for i in index if f"{stage}.{i}.attn.to_q.weight" in shapes]
    if not attention:
        residual = [shape for i in index if (shape := shapes.get(f"{stage}.{i}.conv1.weight"))]
        return "ResBlock", residual[0][1], len(residual), []
    scale = f"{attention[0]}.to_qkv_multiscale.{{}}.proj_in.weight"
    kernels = [shapes[scale.format(i)][-1] for i in range(_count(shapes, f"{attention[0]}.to_qkv_multiscale.{{}}."))]
    return "EfficientViTBlock", shapes[f"{attention[0]}.to_q.weight"][1], len(attention), kernels


_READERS = {
    "AutoencoderKL": _kl,
    "AutoencoderKLFlux2": _flux2,
    "AutoencoderKLQwenImage": _qwen_image,
    "AutoencoderTiny": _tiny,
    "AutoencoderDC": _dc,
}
