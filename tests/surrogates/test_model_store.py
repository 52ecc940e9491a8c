import json
import re
import subprocess
import sys
from dataclasses import replace

import pytest

import cloak.surrogates as room
from cloak.errors import MissingModelError, ModelError, UnknownNameError
from cloak.surrogates import (
    CATALOGUE,
    GROUPS,
    catalogue_entry,
    installed,
    model_path,
    models_folder,
    resolve_models,
    verify,
)
from cloak.surrogates.catalogue import ModelFile
from cloak.surrogates.inspection import file_sha256

NAMES = (
    "sd15 sd21 sdxl sd3 flux1 flux2 sana qwen-image taesd taesdxl taesd3 taef1 taef2 clip-vit-l-14 "
    "tiny-flux2 tiny-sd1 miniature"
)


def put(folder, name):
    for file in CATALOGUE[name].required_files:
        path = folder / name / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.path.encode())


def test_catalogue_is_complete_and_consistent():
    assert set(CATALOGUE) == set(NAMES.split())
    for entry in CATALOGUE.values():
        assert entry.embedded == (entry.hub_id is None)
        assert entry.size_bytes > 0 < entry.memory_bytes
        assert entry.licence
        assert entry.summary
        assert entry.capabilities <= {"encode", "decode", "denoise", "embed_text", "embed_image"}
        assert entry.required_files
        assert all(file.path.endswith((".json", ".safetensors", ".txt")) for file in entry.files)
        assert all(file.sha256 is None or len(file.sha256) == 64 for file in entry.files)
        assert entry.revision is None or re.fullmatch("[0-9a-f]{40}", entry.revision)
        assert entry.consent or entry.licence in {"MIT", "Apache-2.0"}
    assert {name for group in GROUPS.values() for name in group} <= set(CATALOGUE)
    assert all(
        "vae/diffusion_pytorch_model.safetensors" in {f.path for f in CATALOGUE[n].files} for n in ("sd15", "sd3")
    )


def test_unknown_name_has_close_matches():
    with pytest.raises(UnknownNameError, match="taesdxl"):
        catalogue_entry("taesdx")


def test_models_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("ARTCLOAK_MODELS", str(tmp_path))
    assert models_folder() == tmp_path
    monkeypatch.delenv("ARTCLOAK_MODELS")
    assert models_folder().name == "models"
    assert "artcloak" in models_folder().parts


def test_installed_models_are_the_complete_ones_in_the_catalogues_order(models_at):
    assert installed() == []
    put(models_at, "sdxl")
    put(models_at, "taesd")
    (models_at / "sd15" / "vae").mkdir(parents=True)
    (models_at / "sd15" / "vae" / "config.json").write_text("{}")
    (models_at / "something-else").mkdir()
    assert installed() == ["taesd", "sdxl"]
    assert model_path("sdxl") == models_at / "sdxl"
    with pytest.raises(
        MissingModelError, match=r"not on this machine; get it with: cloak models pull sd15 .or put"
    ) as caught:
        model_path("sd15")
    assert caught.value.exit_code == 5
    with pytest.raises(UnknownNameError):
        model_path("something-else")


def test_auto_takes_real_autoencoders_before_embedded_ones(models_at):
    assert resolve_models(["auto"]) == ["tiny-flux2", "tiny-sd1"]
    put(models_at, "clip-vit-l-14")
    assert resolve_models(["auto"]) == ["tiny-flux2", "tiny-sd1"]
    put(models_at, "flux1")
    put(models_at, "taesd")
    assert resolve_models(["auto"]) == ["taesd", "flux1"]
    assert resolve_models(["tiny-sd1", "auto", "taesd"]) == ["tiny-sd1", "taesd", "flux1"]


def test_named_models_are_checked(models_at, tmp_path):
    place = tmp_path / "mine.safetensors"
    place.touch()
    assert resolve_models([str(place), "tiny-flux2"]) == [str(place), "tiny-flux2"]
    with pytest.raises(MissingModelError, match="put its diffusers folder"):
        resolve_models(["flux2"])
    with pytest.raises(UnknownNameError):
        resolve_models(["flux"])
    with pytest.raises(ModelError, match="There is no model at"):
        resolve_models([str(tmp_path / "gone")])


def test_embedded_weights_are_verified_against_their_record(embedded_at):
    with pytest.raises(ModelError, match=r"provenance\.json, the record .* is missing"):
        verify("tiny-flux2")
    paths = sorted(embedded_at.glob("*.safetensors"))
    record = {"files": {path.name: {"sha256": file_sha256(path)} for path in paths}}
    (embedded_at / "provenance.json").write_text(json.dumps(record))
    assert [path.name for path in verify("tiny-flux2")] == ["flux2_encoder.safetensors", "flux2_decoder.safetensors"]
    paths[0].write_bytes(b"other")
    with pytest.raises(ModelError, match="recorded is"):
        verify("tiny-flux2")
    paths[0].unlink()
    with pytest.raises(ModelError, match="lacks"):
        verify("tiny-flux2")
    (embedded_at / "provenance.json").write_text('{"files": {}}')
    with pytest.raises(ModelError, match="does not record"):
        verify("tiny-sd1")


def test_pulled_models_are_verified_where_a_hash_is_recorded(models_at, monkeypatch):
    put(models_at, "taesd")
    assert verify("taesd") == []
    weights = models_at / "taesd" / "diffusion_pytorch_model.safetensors"
    files = (ModelFile("config.json"), ModelFile(weights.name, file_sha256(weights)))
    monkeypatch.setitem(CATALOGUE, "taesd", replace(CATALOGUE["taesd"], files=files))
    assert verify("taesd") == [weights]
    weights.write_bytes(b"other")
    with pytest.raises(ModelError, match="recorded is"):
        verify("taesd")


def test_importing_the_room_is_light():
    code = (
        "import sys, cloak.surrogates; print([m for m in ('diffusers', 'transformers', 'kornia') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_exported_names_are_there():
    assert len(set(room.__all__)) == len(room.__all__)
    assert all(hasattr(room, name) for name in room.__all__)
