"""Captions, splits and the vocabulary of the miniature's training data."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from training.miniature.crops import CropSampler
from training.miniature.data import (
    Entry,
    art_crops,
    art_levels,
    caption,
    is_test,
    on_ground,
    read_captions,
    style_name,
    without_skin_tones,
)
from training.miniature.vocabulary import LENGTH, byte_letters, learn_merges, write_tokenizer


def test_style_is_what_the_package_says_and_not_its_folder(tmp_path: Path) -> None:
    package = tmp_path / "package"  # as npm unpacks every one
    package.mkdir()
    (package / "icons.json").write_text(json.dumps({"prefix": "fluent-emoji-flat", "icons": {}}))
    assert style_name(package) == "fluent emoji flat"


def test_toned_variants_are_dropped_and_other_words_are_kept() -> None:
    names = [
        "farmer",
        "farmer-medium-dark",
        "farmer-light",
        "ear-dark-skin-tone",
        "black-small-square",
        "traffic-light",
    ]
    assert without_skin_tones(names) == ["farmer", "black-small-square", "traffic-light"]


def test_about_one_pair_in_twenty_is_kept_for_testing_always_the_same() -> None:
    chosen = [is_test(f"subject {i}", "noto") for i in range(4000)]
    assert chosen == [is_test(f"subject {i}", "noto") for i in range(4000)]
    assert 140 < sum(chosen) < 260


def test_transparent_places_show_a_light_ground() -> None:
    pixels = torch.zeros(40, 4, 16, 16, dtype=torch.uint8)
    pixels[:, :, :8] = torch.tensor([10, 20, 30, 255])[:, None, None]
    levels = on_ground(pixels, torch.Generator().manual_seed(0)) * 255
    assert levels.shape == (40, 3, 16, 16)
    assert torch.allclose(levels[:, 2, :8], torch.tensor(30.0))
    assert levels[:, :, 8:].min() >= 214.9
    white = (levels[:, :, 8:] > 254.9).all(dim=(1, 2, 3)).float().mean()
    assert 0.5 < white < 0.95


def test_merges_join_the_most_frequent_pair_first() -> None:
    merges = learn_merges(Counter({"aab": 5, "ab": 3, "cc": 2}), limit=10)
    assert merges[0] == ("a", "b</w>")
    assert ("c", "c</w>") in merges
    assert ("a", "ab</w>") in merges


def test_tokenizer_has_whole_words_for_captions_and_letters_for_the_rest(tmp_path: Path) -> None:
    captions = [caption("grinning face", "noto"), caption("grinning cat", "noto")]
    tokenizer = write_tokenizer(captions, tmp_path)
    tokens = tokenizer.tokenize("Grinning, in the style of zzz")
    assert tokens == ["grinning</w>", ",</w>", "in</w>", "the</w>", "style</w>", "of</w>", "z", "z", "z</w>"]
    ids = tokenizer("é", padding="max_length", truncation=True).input_ids
    assert len(ids) == LENGTH
    assert ids[0] == tokenizer.bos_token_id
    assert ids[-1] == tokenizer.eos_token_id
    assert len(set(byte_letters())) == 256


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A data set of two emoji, one of them a victim's, and one picture of art."""
    folder = tmp_path / "art" / "monet"
    folder.mkdir(parents=True)
    noise = np.random.default_rng(0).integers(0, 256, (300, 260, 3), dtype=np.uint8)
    Image.fromarray(noise).save(folder / "01.jpg")
    crops = art_crops(folder / "01.jpg", 3)
    emoji = [(Entry("dog", "noto", "emoji", "train"), 1), (Entry("dog", "fxemoji", "emoji", "victim"), 2)]
    pictures = [np.full((128, 128, 4), value, np.uint8) for _, value in emoji] + [pixels for _, pixels in crops]
    np.save(tmp_path / "pictures.npy", np.stack(pictures))
    entries = [entry for entry, _ in emoji] + [entry for entry, _ in crops]
    (tmp_path / "captions.jsonl").write_text("".join(json.dumps(vars(e)) + "\n" for e in entries))
    np.savez(tmp_path / "art.npz", **art_levels(folder / "01.jpg"))
    return tmp_path


def test_art_is_captioned_by_artist(work: Path) -> None:
    captions = [entry.caption for entry in read_captions(work)]
    assert captions[0] == "dog, in the style of noto"
    assert captions[2:] == ["an oil painting, in the style of claude monet"] * 3


def test_crops_are_pictures_and_never_a_victims(work: Path) -> None:
    sampler = CropSampler(work, art_share=0.5, seed=0)
    assert list(sampler.rows) == [0]
    x = sampler.batch(6, 64)
    assert x.shape == (6, 3, 64, 64)
    assert x.dtype == torch.uint8
