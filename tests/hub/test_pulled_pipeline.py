"""A whole pipeline in the published layout, half-precision files and all, pulled and used."""

import pytest
import torch

from cloak.surrogates import CATALOGUE, load_surrogate, plan_pull, pull, verify
from cloak.testing import toy_picture
from cloak.toy_pipelines import write_toy_pipeline


@pytest.mark.parametrize("name", ["sd15", "sdxl"])
def test_a_pulled_pipeline_reads_prompts_and_denoises(hub, models_at, tmp_path, name):
    folder = write_toy_pipeline(tmp_path / name, name)
    for place in folder.glob("tokenizer*"):
        (place / "special_tokens_map.json").write_text("{}")
    for place in [folder / "unet", *folder.glob("text_encoder*")]:
        for weights in place.glob("*.safetensors"):
            weights.rename(weights.with_suffix(".fp16.safetensors"))
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    hub.offer(name, files)
    weights = "unet/diffusion_pytorch_model.fp16.safetensors"
    hub.cuts[weights] = [len(files[weights]) // 2]
    list(pull(plan_pull(name)))
    assert len(verify(name)) == len(CATALOGUE[name].files)
    surrogate = load_surrogate(name)
    assert surrogate.capabilities == CATALOGUE[name].capabilities
    assert surrogate.revision == CATALOGUE[name].revision
    z = surrogate.encode(toy_picture(32, 32))
    seen = surrogate.denoise(z, torch.tensor([500]), surrogate.embed_text(["a cat in the style of sks"]))
    assert seen.shape == z.shape
    assert seen.isfinite().all()
