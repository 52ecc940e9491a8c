"""CLIP as a surrogate that only embeds, compared with transformers on a toy model."""

import pytest
import torch

from cloak.errors import MissingModelError, ModelError, UsageError
from cloak.surrogates import load_clip
from cloak.testing import toy_picture
from cloak.toy_pipelines import write_toy_tokenizer

SMALL = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}


@pytest.fixture
def clip_folder(tmp_path):
    from transformers import CLIPConfig, CLIPModel

    folder = tmp_path / "clip"
    write_toy_tokenizer(folder)
    text = {**SMALL, "vocab_size": 100, "max_position_embeddings": 8}
    vision = {**SMALL, "image_size": 32, "patch_size": 8}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=16)).save_pretrained(folder)
    return folder


def test_it_embeds_as_transformers_does(clip_folder):
    from transformers import CLIPModel

    surrogate, reference = load_clip(clip_folder), CLIPModel.from_pretrained(clip_folder).eval()
    x = toy_picture(32, 32, batch=2).requires_grad_()
    text, seen = surrogate.embed_text(["a cat", "a dog"]), surrogate.embed_image(x)
    picture = (x.detach() - surrogate.mean) / surrogate.deviation
    ids = surrogate.tokenizer(["a cat", "a dog"], padding="max_length", return_tensors="pt").input_ids
    with torch.no_grad():
        found = reference(input_ids=ids, pixel_values=picture)
    torch.testing.assert_close(seen.detach(), found.image_embeds)
    torch.testing.assert_close(torch.nn.functional.normalize(text.pooled, dim=-1), found.text_embeds)
    assert torch.autograd.grad(seen[0, 0], x)[0].abs().max() > 0
    assert len(surrogate.sha256) == 64


def test_pictures_cannot_be_protected_against_it_alone(clip_folder):
    surrogate = load_clip(clip_folder)
    assert surrogate.capabilities == {"embed_text", "embed_image"}
    with pytest.raises(UsageError, match="cannot encode; it can: embed_image, embed_text"):
        surrogate.encode(toy_picture())
    with pytest.raises(UsageError, match="cannot decode"):
        surrogate.decode(torch.zeros(1, 4, 2, 2))


def test_what_is_missing_is_said(clip_folder, models_at, tmp_path):
    with pytest.raises(MissingModelError, match="cloak models pull clip-vit-l-14"):
        load_clip()
    with pytest.raises(ModelError, match=r"holds no config\.json"):
        load_clip(tmp_path)
    for name in ("preprocessor_config.json", "special_tokens_map.json"):
        (clip_folder / name).write_text("{}")
    clip_folder.rename(models_at / "clip-vit-l-14")
    assert load_clip().name == "clip-vit-l-14"
    (models_at / "clip-vit-l-14" / "vocab.json").write_text("{")
    with pytest.raises(ModelError, match="holds no tokenizer that can be used"):
        load_clip()
