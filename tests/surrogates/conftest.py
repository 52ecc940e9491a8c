import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from cloak.surrogates import embedded, store
from cloak.surrogates.families import published_config
from cloak.surrogates.taef2 import Taef2Decoder, Taef2Encoder
from cloak.testing import initialise, write_toy_embedded

KL = {"block_out_channels": [32, 32, 64, 64], "layers_per_block": 1}
TINY = {
    "encoder_block_out_channels": [16] * 4,
    "decoder_block_out_channels": [16] * 4,
    "num_encoder_blocks": [1, 2, 1, 1],
    "num_decoder_blocks": [1, 1, 2, 1],
}
DC = {
    "encoder_block_out_channels": [32, 32, 32, 32, 64, 64],
    "decoder_block_out_channels": [32, 32, 32, 32, 64, 64],
    "encoder_layers_per_block": [1, 2, 1, 1, 1, 1],
    "decoder_layers_per_block": [1] * 6,
}
NARROWER = {
    **dict.fromkeys(("sd15", "sd21", "sdxl", "sd3", "flux1", "flux2"), KL),
    **dict.fromkeys(("taesd", "taesdxl", "taesd3", "taef1"), TINY),
    "sana": DC,
    "qwen-image": {"base_dim": 8},
}


def narrow_config(name: str) -> dict[str, Any]:
    """The published configuration with fewer channels and layers."""
    return {**published_config(name), **NARROWER[name]}


def build(name: str, seed: int = 0) -> Any:
    import diffusers

    config = narrow_config(name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = getattr(diffusers, config["_class_name"]).from_config(config)
        if hasattr(module, "bn"):
            module.bn.running_mean.normal_()
            module.bn.running_var.uniform_(0.5, 2)
    return module.eval()


@pytest.fixture(scope="session")
def narrow_model() -> Callable[[str], Any]:
    """Randomly initialised models of the published structures, made anew at each call."""
    return build


@pytest.fixture
def save_folder(tmp_path: Path) -> Callable[..., Path]:
    def save(name: str, place: str = "model", **options: Any) -> Path:
        folder = tmp_path / place
        build(name).save_pretrained(folder, **options)
        return folder

    return save


@pytest.fixture
def write_checkpoint(tmp_path: Path) -> Callable[..., Path]:
    """A single file with the autoencoder's tensors under a prefix, among others."""

    def write(state: dict[str, Tensor], file: str, prefix: str = "", others: tuple[str, ...] = ()) -> Path:
        tensors = {prefix + name: tensor.contiguous() for name, tensor in state.items()}
        tensors.update({name: torch.zeros(1) for name in others})
        save_file(tensors, tmp_path / file)
        return tmp_path / file

    return write


@pytest.fixture
def models_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for pulled models."""
    folder = tmp_path / "models"
    folder.mkdir()
    monkeypatch.setenv("ARTCLOAK_MODELS", str(folder))
    return folder


@pytest.fixture
def embedded_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stands for the package's `embedded/`, with random weights."""
    folder = tmp_path / "embedded"
    write_toy_embedded(folder)
    monkeypatch.setattr(embedded, "embedded_folder", lambda: folder)
    monkeypatch.setattr(store, "embedded_folder", lambda: folder)
    return folder


@pytest.fixture
def write_taef2() -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        folder.mkdir(parents=True)
        networks: dict[str, nn.Module] = {"encoder": Taef2Encoder(), "decoder": Taef2Decoder()}
        for name, network in networks.items():
            initialise(network, 0)
            half = {key: (tensor * 0.3).half() for key, tensor in network.state_dict().items()}
            save_file(half, folder / f"taef2_{name}.safetensors")
        return folder

    return write


@pytest.fixture
def edit_json() -> Callable[..., None]:
    def edit(path: Path, **changes: Any) -> None:
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    return edit
