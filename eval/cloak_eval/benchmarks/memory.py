"""Memory that Stable Diffusion 1.5 and XL need at their published size, computed, and measured with random weights.

Computed: the networks of the published configurations are run, forward and backward, on PyTorch's meta device, where
every operation allocates as it would but nothing is filled. The bytes that are alive together at the worst moment are
what PyTorch would hold. What it does not hold itself is left out: the driver's context, the workspace of the
convolutions, fragmentation.

Measured: a folder with random weights of the published shapes is written, loaded through `load_surrogate` and asked
for one gradient in a process of its own, whose peak the system counts.
"""

import argparse
import contextlib
import importlib
import json
import subprocess
import sys
import tempfile
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from pydantic import Field
from rich.console import Console
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from typing_extensions import Self

from cloak.surrogates import load_surrogate
from cloak.surrogates.diffusers_autoencoder import DiffusersAutoencoder
from cloak.surrogates.families import published_config
from cloak.surrogates.pipeline import PipelineSurrogate
from cloak.toy_pipelines import write_toy_tokenizer
from cloak_eval.benchmarks.results import Provenance, Record, provenance, write_json

__all__ = ["Allocation", "Cost", "Measured", "MemoryReport", "add_parser", "costs", "published_part", "run"]

_TOKENS = 77
_TEXT_WIDTH = {"sd15": 768, "sdxl": 2048}
_PARTS = ("autoencoder", "denoiser", "text encoders", "encoder and denoiser")
_CLIP_L = {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12}
_CLIP_G = {"hidden_size": 1280, "intermediate_size": 5120, "num_hidden_layers": 32, "num_attention_heads": 20}
_UNET: dict[str, dict[str, Any]] = {
    "sd15": {"sample_size": 64, "cross_attention_dim": 768, "attention_head_dim": 8},
    "sdxl": {
        "sample_size": 128,
        "block_out_channels": [320, 640, 1280],
        "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
        "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
        "transformer_layers_per_block": [1, 2, 10],
        "attention_head_dim": [5, 10, 20],
        "cross_attention_dim": 2048,
        "use_linear_projection": True,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": 2816,
    },
}


class Cost(Record):
    """What one gradient needs, computed."""

    model: str
    part: str
    precision: str
    recomputed: bool = Field(description="Whether `Surrogate.checkpoint` is on.")
    parameters: int
    weight_bytes: int
    working_bytes: int = Field(description="Peak of everything besides the weights, forward and backward.")

    @property
    def total_bytes(self) -> int:
        """Weights and peak."""
        return self.weight_bytes + self.working_bytes


class Measured(Record):
    """The same for a whole pipeline, as the system counted it."""

    model: str
    side: int
    precision: str
    seconds: float
    peak_bytes: int = Field(description="Peak of the process above what it held before the model was loaded.")
    computed_bytes: int = Field(description="Weights of encoder, decoder and denoiser and computed working memory.")


class MemoryReport(Record):
    """The result file."""

    provenance: Provenance
    side: int = Field(description="Side of the square picture that `costs` are for, pixels.")
    costs: list[Cost]
    measured: list[Measured]


class Allocation(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of tensors that are alive together, on any device, while it is entered: `live` and `peak`."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.live = self.peak = 0
        self._known: set[int] = set()

    def ignore(self, *modules: nn.Module) -> Self:
        """Leave the weights out, also where an operation looks at them from another side."""
        for module in modules:
            self._known |= {tensor.untyped_storage()._cdata for tensor in module.state_dict(keep_vars=True).values()}
        return self

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(output):
            if isinstance(leaf, Tensor):
                self._count(leaf.untyped_storage())
        return output

    def _count(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self._known:
            return
        self._known.add(key)
        self.live += size
        self.peak = max(self.peak, self.live)
        weakref.finalize(storage, self._free, key, size)

    def _free(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.live -= size


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the subcommand `memory`."""
    parser = subparsers.add_parser("memory", help="memory of Stable Diffusion 1.5 and XL at their published size")
    parser.add_argument("--side", type=int, default=1024, help="of the square picture, pixels (default 1024)")
    about = "also measure a run of its own with random weights, for example sd15:1024 sdxl:256; takes minutes"
    parser.add_argument("--measure", nargs="*", default=(), type=_model_and_side, metavar="MODEL:SIDE", help=about)
    parser.add_argument("--out", type=Path, default=Path("eval/results/memory.json"), metavar="FILE")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Compute, measure what was asked for, write the report and show the table as it stands in the documentation."""
    rows = list(costs(options.side))
    measured = [_measure(model, side) for model, side in options.measure]
    write_json(MemoryReport(provenance=provenance(), side=options.side, costs=rows, measured=measured), options.out)
    Console(highlight=False, soft_wrap=True).print("\n".join(_table(rows) + _measured_table(measured)))
    return 0


def _model_and_side(text: str) -> tuple[str, int]:
    model, _, side = text.partition(":")
    if model not in _UNET or not side.isdigit():
        raise argparse.ArgumentTypeError(f"give one of {', '.join(_UNET)} and a side, as in sd15:256, not {text!r}")
    return model, int(side)


def costs(side: int, models: Sequence[str] = tuple(_UNET)) -> Iterator[Cost]:
    """One row for each model, part, precision, and with and without recomputing.

    Args:
        side: of the square picture, pixels.
        models: "sd15", "sdxl".
    """
    for model in models:
        for part in _PARTS:
            for dtype in (torch.bfloat16, torch.float32):
                for recomputed in (False,) if part == "text encoders" else (False, True):
                    yield _cost(model, part, side, dtype, recomputed)


def published_part(model: str, part: str) -> nn.Module:
    """A network of the published configuration on the meta device: "vae", "unet", "text_encoder", "text_encoder_2"."""
    diffusers, transformers = (importlib.import_module(name) for name in ("diffusers", "transformers"))
    with torch.device("meta"):
        if part == "vae":
            module = diffusers.AutoencoderKL.from_config(published_config(model))
        elif part == "unet":
            module = diffusers.UNet2DConditionModel(**_UNET[model])
        elif part == "text_encoder":
            module = transformers.CLIPTextModel(transformers.CLIPTextConfig(**_CLIP_L, projection_dim=768))
        else:
            settings = transformers.CLIPTextConfig(**_CLIP_G, projection_dim=1280, hidden_act="gelu")
            module = transformers.CLIPTextModelWithProjection(settings)
    result: nn.Module = module.eval().requires_grad_(False)
    return result


def _cost(model: str, part: str, side: int, dtype: torch.dtype, recomputed: bool) -> Cost:
    modules, gradient = _PREPARE[part](model, side, dtype, recomputed)
    allocation = Allocation().ignore(*modules)
    with _attention_in_blocks(), allocation:
        gradient()
    parameters = sum(tensor.numel() for module in modules for tensor in module.parameters())
    return Cost(
        model=model,
        part=part,
        precision=str(dtype).removeprefix("torch."),
        recomputed=recomputed,
        parameters=parameters,
        weight_bytes=parameters * dtype.itemsize,
        working_bytes=allocation.peak,
    )


_Prepared = tuple[list[nn.Module], Callable[[], object]]


def _autoencoder(model: str, side: int, dtype: torch.dtype, recomputed: bool) -> _Prepared:
    surrogate = _surrogate(model, dtype, recomputed)
    return [surrogate.module], lambda: _gradient(surrogate.see, _picture(side))


def _denoiser(model: str, side: int, dtype: torch.dtype, recomputed: bool) -> _Prepared:
    unet = _unet(model, dtype, recomputed)
    latent = (1, 4, side // 8, side // 8)
    return [unet], lambda: _gradient(lambda z: _denoised(unet, model, z, dtype), torch.empty(latent, device="meta"))


def _both(model: str, side: int, dtype: torch.dtype, recomputed: bool) -> _Prepared:
    surrogate, unet = _surrogate(model, dtype, recomputed), _unet(model, dtype, recomputed)
    return [surrogate.module, unet], lambda: _gradient(
        lambda x: _denoised(unet, model, surrogate.encode(x), dtype), _picture(side)
    )


def _text_encoders(model: str, _side: int, dtype: torch.dtype, _recomputed: bool) -> _Prepared:
    names = ["text_encoder", "text_encoder_2"] if model == "sdxl" else ["text_encoder"]
    towers: list[Any] = [published_part(model, name).to(dtype) for name in names]
    return towers, lambda: _read(towers)


_PREPARE = dict(zip(_PARTS, (_autoencoder, _denoiser, _text_encoders, _both), strict=True))


def _surrogate(model: str, dtype: torch.dtype, recomputed: bool) -> DiffusersAutoencoder:
    surrogate = DiffusersAutoencoder(published_part(model, "vae"), name=model, family=model)
    return surrogate.to("meta", dtype).checkpoint(recomputed)


def _unet(model: str, dtype: torch.dtype, recomputed: bool) -> Any:
    unet: Any = published_part(model, "unet")
    nn.Module.to(unet, dtype=dtype)
    unet.enable_gradient_checkpointing() if recomputed else unet.disable_gradient_checkpointing()
    return unet


def _picture(side: int) -> Tensor:
    return torch.empty(1, 3, side, side, device="meta")


def _denoised(unet: Any, model: str, z: Tensor, dtype: torch.dtype) -> Tensor:
    tokens = torch.empty(1, _TOKENS, _TEXT_WIDTH[model], device="meta", dtype=dtype)
    pooled, sizes = (torch.empty(1, width, device="meta", dtype=dtype) for width in (1280, 6))
    added = {"text_embeds": pooled, "time_ids": sizes} if model == "sdxl" else None
    timestep = torch.empty(1, device="meta", dtype=torch.int64)
    noisy = (z + torch.empty_like(z)).to(dtype)
    output: Tensor = unet(noisy, timestep, encoder_hidden_states=tokens, added_cond_kwargs=added).sample
    return output.float()


def _read(towers: Sequence[Any]) -> None:
    """A gradient that reaches the token vectors, as textual inversion takes it."""
    for tower in towers:
        weight = tower.get_input_embeddings().weight.requires_grad_()
        ids = torch.empty(1, _TOKENS, device="meta", dtype=torch.int64)
        torch.autograd.grad(tower(ids).last_hidden_state.float().mean(), weight)


def _gradient(function: Callable[[Tensor], Tensor], x: Tensor) -> None:
    x.requires_grad_()
    torch.autograd.grad(function(x).mean(), x)


@contextlib.contextmanager
def _attention_in_blocks() -> Iterator[None]:
    """Attention as the kernels of GPUs and CPUs compute it, never forming the whole matrix; meta would form it."""
    functional: Any = nn.functional
    formed = functional.scaled_dot_product_attention

    def attention(query: Tensor, key: Tensor, value: Tensor, attn_mask: Any = None, **options: Any) -> Tensor:
        causal, scale = options.get("is_causal", False), options.get("scale")
        blocks = torch.ops.aten._scaled_dot_product_efficient_attention
        output: Tensor = blocks(query, key, value, attn_mask, True, 0.0, causal, scale=scale)[0]
        return output

    functional.scaled_dot_product_attention = attention
    try:
        yield
    finally:
        functional.scaled_dot_product_attention = formed


def _table(rows: Sequence[Cost]) -> list[str]:
    """Markdown, one line for each model and part, GB."""
    lines = [
        "| model | part | parameters | weights | working | working, recomputed | in all | in all, fp32 |",
        "|---|---|---|---|---|---|---|---|",
    ]
    found = {(row.model, row.part, row.precision, row.recomputed): row for row in rows}
    for model, part in dict.fromkeys((row.model, row.part) for row in rows):
        plain = found[model, part, "bfloat16", False]
        saving = found.get((model, part, "bfloat16", True), plain)
        exact = found.get((model, part, "float32", True), found[model, part, "float32", False])
        sizes = (plain.weight_bytes, plain.working_bytes, saving.working_bytes, saving.total_bytes, exact.total_bytes)
        figures = " | ".join(f"{size / 1e9:.2f}" for size in sizes)
        lines.append(f"| {model} | {part} | {plain.parameters / 1e6:.1f} M | {figures} |")
    return lines


def _measured_table(rows: Sequence[Measured]) -> list[str]:
    if not rows:
        return []
    lines = ["", "| model | picture | precision | computed, GB | measured, GB | seconds |", "|---|---|---|---|---|---|"]
    for row in rows:
        figures = f"{row.computed_bytes / 1e9:.2f} | {row.peak_bytes / 1e9:.2f} | {row.seconds:.0f}"
        lines.append(f"| {row.model} | {row.side}² | {row.precision} | {figures} |")
    return lines


def _measure(model: str, side: int) -> Measured:
    """Write random weights, load them and take a gradient, each in a process of its own."""
    computed = [row for row in costs(side, [model]) if row.part == _PARTS[-1] and row.precision == "bfloat16"]
    with tempfile.TemporaryDirectory() as folder:
        for job in ("write_folder", "take_gradient"):
            code = f"import sys; from cloak_eval.benchmarks import memory; memory.{job}(*sys.argv[1:])"
            command = [sys.executable, "-c", code, folder, model, str(side)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise RuntimeError(done.stderr.strip().splitlines()[-1])
    found = json.loads(done.stdout.splitlines()[-1])
    return Measured(model=model, side=side, precision="bfloat16", computed_bytes=computed[-1].total_bytes, **found)


def write_folder(folder: str, model: str, _side: str) -> None:
    """Write random half-precision weights of the published shapes as a pipeline folder; in a process of its own."""
    diffusers: Any = importlib.import_module("diffusers")
    for name in ["vae", "unet", "text_encoder", *(["text_encoder_2"] if model == "sdxl" else [])]:
        module: Any = nn.Module.to(published_part(model, name), dtype=torch.float16).to_empty(device="cpu")
        for parameter in module.parameters():
            nn.init.normal_(parameter, std=0.02) if parameter.ndim > 1 else nn.init.ones_(parameter)
        module.save_pretrained(Path(folder) / name)
        if name.startswith("text"):
            write_toy_tokenizer(Path(folder) / name.replace("text_encoder", "tokenizer"))
    schedule = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
    diffusers.DDPMScheduler(**schedule).save_pretrained(Path(folder) / "scheduler")


def take_gradient(folder: str, _model: str, side: str) -> None:
    """Load such a folder, take a gradient through encoder and denoiser, print what it took; in a process of its own."""
    before, started = _peak(), time.perf_counter()
    surrogate = load_surrogate(folder, dtype=torch.bfloat16).checkpoint()
    assert isinstance(surrogate, PipelineSurrogate)  # that is what was written
    text = surrogate.embed_text(["a cat in the style of sks"])
    surrogate.release()
    x = torch.rand(1, 3, int(side), int(side)).requires_grad_()
    z, timestep = surrogate.encode(x), torch.tensor([500])
    seen = surrogate.denoise(surrogate.add_noise(z, torch.randn_like(z), timestep), timestep, text)
    (gradient,) = torch.autograd.grad(seen.square().mean(), x)
    if not gradient.abs().max() > 0:
        raise RuntimeError("no gradient reached the picture")
    print(json.dumps({"peak_bytes": _peak() - before, "seconds": time.perf_counter() - started}))  # noqa: T201


def _peak() -> int:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
