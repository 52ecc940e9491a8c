"""Pulling from a hub: whole or not at all, continued after a cut, compared with hashes, nothing on the second time."""

import errno
import io
import pickle
import shutil
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants

from cloak.errors import MissingModelError, ModelError, OutputError, UnknownModelError, UsageError
from cloak.surrogates import CATALOGUE, installed, load_surrogate, model_path, plan_pull, pull, remove, verify
from cloak.surrogates import pulling as room
from cloak.surrogates.catalogue import ModelFile, expand_groups
from cloak.surrogates.inspection import file_sha256
from cloak.surrogates.record import RECORD_NAME, read_record
from cloak.testing import toy_picture

WEIGHTS = "diffusion_pytorch_model.safetensors"


def pull_all(name):
    plan = plan_pull(name)
    return None if plan is None else list(pull(plan))


def contents(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def taesd(hub, models_at, tiny_files):
    hub.offer("taesd", tiny_files)
    return models_at / "taesd"


def test_a_pulled_model_is_the_published_one_and_protects_pictures(taesd, hub, tiny_files):
    plan = plan_pull("taesd")
    assert plan.size_bytes == sum(map(len, tiny_files.values()))
    assert plan.revision == CATALOGUE["taesd"].revision
    assert not taesd.exists()
    steps = list(pull(plan))
    assert [step.stage for step in steps] == ["models"] * (len(steps) - 1) + ["done"]
    assert steps[-1].result == taesd
    assert contents(taesd) == {*tiny_files, RECORD_NAME}
    assert all((taesd / name).read_bytes() == data for name, data in tiny_files.items())
    assert installed() == ["taesd"]
    assert [path.name for path in verify("taesd")] == ["config.json", WEIGHTS]
    surrogate = load_surrogate("taesd")
    assert surrogate.see(toy_picture(32, 32)).shape == (1, 3, 32, 32)
    assert surrogate.revision == CATALOGUE["taesd"].revision
    assert surrogate.sha256 == file_sha256(taesd / WEIGHTS)


def test_the_second_pull_does_nothing_and_asks_nobody(taesd, hub):
    pull_all("taesd")
    hub.seen.clear()
    assert plan_pull("taesd") is None
    assert hub.seen == []


def test_a_cut_connection_is_taken_up_where_it_was_cut(taesd, hub, tiny_files):
    size = len(tiny_files[WEIGHTS])
    hub.cuts[WEIGHTS] = [size // 3, size // 3]
    pull_all("taesd")
    asked = [range_ for _, path, range_ in hub.seen if path.startswith("/cdn/")]
    assert asked == [None, f"bytes={size // 3}-", f"bytes={2 * (size // 3)}-"]
    assert (taesd / WEIGHTS).read_bytes() == tiny_files[WEIGHTS]


def test_a_pull_that_was_given_up_leaves_no_model_and_the_next_one_goes_on(taesd, hub, tiny_files):
    half = len(tiny_files[WEIGHTS]) // 2
    hub.cuts[WEIGHTS] = [half, *[0] * room_attempts()]
    with pytest.raises(MissingModelError, match=r"cannot be reached .* run again: cloak models pull taesd"):
        pull_all("taesd")
    assert not taesd.exists()
    assert installed() == []
    hub.cuts.clear()
    hub.seen.clear()
    pull_all("taesd")
    assert [range_ for _, path, range_ in hub.seen if path.startswith("/cdn/")] == [f"bytes={half}-"]
    assert (taesd / WEIGHTS).read_bytes() == tiny_files[WEIGHTS]
    assert contents(taesd.parent) == {".partial/taesd.lock", *(f"taesd/{name}" for name in contents(taesd))}


def room_attempts():
    from cloak.surrogates import hub as transport

    return transport.ATTEMPTS


def test_a_pull_that_is_stopped_goes_on_later(taesd, hub, tiny_files):
    steps = pull(plan_pull("taesd"))
    next(steps)
    steps.close()
    assert not taesd.exists()
    hub.seen.clear()
    pull_all("taesd")
    assert not any(path.endswith("config.json") and method == "GET" for method, path, _ in hub.seen)
    assert installed() == ["taesd"]


def test_a_server_without_ranges_starts_the_file_anew(taesd, hub, tiny_files):
    hub.cuts[WEIGHTS], hub.ignores_ranges = [1000], True
    pull_all("taesd")
    assert (taesd / WEIGHTS).read_bytes() == tiny_files[WEIGHTS]


@pytest.mark.parametrize("file", [WEIGHTS, "config.json"])
def test_a_wrong_byte_is_refused_and_thrown_away(taesd, hub, file):
    hub.flipped.add(file)
    with pytest.raises(ModelError, match="arrived damaged: its bytes do not have the hash"):
        pull_all("taesd")
    assert not taesd.exists()
    assert not any(file in name for name in contents(taesd.parent))
    hub.flipped.clear()
    pull_all("taesd")
    assert installed() == ["taesd"]


def test_other_bytes_than_the_pinned_ones_are_refused_before_they_are_fetched(taesd, hub, monkeypatch):
    files = (ModelFile("config.json"), ModelFile(WEIGHTS, "0" * 64))
    monkeypatch.setitem(CATALOGUE, "taesd", replace(CATALOGUE["taesd"], files=files))
    with pytest.raises(ModelError, match=r"announces other bytes .* than those that are pinned"):
        plan_pull("taesd")
    assert not hub.ranges(WEIGHTS)


def test_pickled_weights_under_another_name_are_refused(taesd, hub, tiny_files):
    archive = io.BytesIO()
    torch.save({"weight": torch.zeros(3)}, archive)
    for data in (archive.getvalue(), pickle.dumps({"weight": 1})):
        hub.offer("taesd", {**tiny_files, WEIGHTS: data})
        with pytest.raises(ModelError, match="is a pickled weight file under another name"):
            pull_all("taesd")
    hub.offer("taesd", {**tiny_files, WEIGHTS: b"neither this nor that"})
    with pytest.raises(ModelError, match="is not what its name says"):
        pull_all("taesd")
    hub.offer("taesd", {"config.json": tiny_files["config.json"], "diffusion_pytorch_model.bin": archive.getvalue()})
    with pytest.raises(MissingModelError, match="only safetensors are taken, never pickled"):
        pull_all("taesd")
    assert not taesd.exists()


def test_what_is_not_pinned_is_recorded_at_the_first_pull_and_kept(hub, models_at, tiny_files):
    assert CATALOGUE["sana"].revision is None
    hub.offer("sana", tiny_files, commit="a" * 40)
    pull_all("sana")
    record = read_record(models_at / "sana")
    assert record.revision == "a" * 40
    assert record.sha256[WEIGHTS] == file_sha256(models_at / "sana" / WEIGHTS)
    (models_at / "sana" / WEIGHTS).write_bytes(b"damaged")
    with pytest.raises(ModelError, match=r"recorded is .*; get it again with: cloak models pull sana"):
        verify("sana")
    hub.offer("sana", {**tiny_files, WEIGHTS: tiny_files[WEIGHTS][::-1]}, commit="a" * 40)
    with pytest.raises(ModelError, match="announces other bytes"):
        plan_pull("sana")
    hub.offer("sana", {**tiny_files}, commit="b" * 40)  # the branch moved on: the recorded revision is asked for
    with pytest.raises(MissingModelError, match="no longer has the revision"):
        plan_pull("sana")


def test_a_damaged_file_is_fetched_anew_and_the_others_are_left_alone(taesd, hub, tiny_files):
    pull_all("taesd")
    before = (taesd / "config.json").stat().st_mtime_ns
    (taesd / WEIGHTS).write_bytes(b"damaged")
    assert [file.path for file in plan_pull("taesd").fetched] == [WEIGHTS]
    pull_all("taesd")
    assert (taesd / WEIGHTS).read_bytes() == tiny_files[WEIGHTS]
    assert (taesd / "config.json").stat().st_mtime_ns == before
    assert plan_pull("taesd") is None


def test_files_that_were_copied_by_hand_are_completed(taesd, hub, tiny_files):
    taesd.mkdir(parents=True)
    (taesd / WEIGHTS).write_bytes(tiny_files[WEIGHTS])
    assert [file.path for file in plan_pull("taesd").fetched] == ["config.json"]
    pull_all("taesd")
    assert len(verify("taesd")) == 2
    assert not hub.ranges(WEIGHTS)


def test_a_model_that_was_copied_by_hand_is_left_alone(taesd, hub, tiny_files):
    taesd.mkdir(parents=True)
    for name, data in tiny_files.items():
        (taesd / name).write_bytes(data)
    assert plan_pull("taesd") is None
    assert hub.seen == []


def test_offline_it_comes_from_the_hubs_own_cache(taesd, hub, tiny_files, monkeypatch):
    commit = CATALOGUE["taesd"].revision
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(MissingModelError, match=r"HF_HUB_OFFLINE is set, and the hub's cache .* lacks config.json"):
        plan_pull("taesd")
    snapshot = Path(constants.HF_HUB_CACHE) / "models--madebyollin--taesd" / "snapshots" / commit
    snapshot.mkdir(parents=True)
    for name, data in tiny_files.items():
        (snapshot / name).write_bytes(data)
    pull_all("taesd")
    assert hub.seen == []
    assert installed() == ["taesd"]
    assert plan_pull("taesd") is None
    assert load_surrogate("taesd").name == "taesd"


def test_what_lies_in_the_hubs_cache_is_not_fetched_again(taesd, hub, tiny_files):
    snapshot = Path(constants.HF_HUB_CACHE) / "models--madebyollin--taesd" / "snapshots" / CATALOGUE["taesd"].revision
    snapshot.mkdir(parents=True)
    (snapshot / WEIGHTS).write_bytes(tiny_files[WEIGHTS])
    pull_all("taesd")
    assert not any(path.startswith("/cdn/") for _, path, _ in hub.seen)
    assert (taesd / WEIGHTS).read_bytes() == tiny_files[WEIGHTS]


REFUSALS = {
    "no such repository": (401, "RepoNotFound", "The hub has no madebyollin/taesd, or does not show it to you"),
    "gated": (403, "GatedRepo", "only to people who accepted its licence .* sign in with `hf auth login`"),
    "no such revision": (404, "RevisionNotFound", "no longer has the revision of madebyollin/taesd that is pinned"),
    "no such file": (404, "EntryNotFound", "The hub has no config.json in madebyollin/taesd"),
    "out of order": (503, "", "cannot be reached .it answered with status 503"),
    "something else": (418, "", "The hub refused config.json of madebyollin/taesd .status 418"),
}


@pytest.mark.parametrize(("status", "code", "message"), REFUSALS.values(), ids=REFUSALS.keys())
def test_what_the_hub_refuses_is_said_in_a_sentence(taesd, hub, status, code, message):
    hub.refusal = (status, code)
    with pytest.raises(MissingModelError, match=message) as caught:
        plan_pull("taesd")
    assert caught.value.exit_code == 5
    assert "\n" not in str(caught.value)
    assert not taesd.parent.exists()


def test_no_network(models_at, hub, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(MissingModelError, match=r"The hub cannot be reached .* run again: cloak models pull taesd"):
        plan_pull("taesd")
    assert not models_at.exists()


def test_what_answers_is_no_hub(taesd, hub, monkeypatch):
    hub.commits["madebyollin/taesd"] = ""
    monkeypatch.setitem(CATALOGUE, "taesd", replace(CATALOGUE["taesd"], revision=None))
    with pytest.raises(ModelError, match=r"is not a model hub; check HF_ENDPOINT"):
        plan_pull("taesd")


def test_a_full_disk_is_noticed_before_anything_is_fetched(taesd, hub, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1, 1, 10**6))
    plan = plan_pull("taesd")
    hub.seen.clear()
    with pytest.raises(OutputError, match=r"too full for 'taesd'.*ARTCLOAK_MODELS") as caught:
        list(pull(plan))
    assert caught.value.exit_code == 1
    assert hub.seen == []
    assert not taesd.exists()


def test_a_disk_that_fills_up_keeps_nothing(taesd, hub, monkeypatch):
    def download(_entry, _file, part):
        part.write_bytes(b"some")
        yield 4
        raise OSError(errno.ENOSPC, "No space left on device", str(part))

    monkeypatch.setattr(room, "download", download)
    with pytest.raises(OutputError, match="is full; make room"):
        pull_all("taesd")
    assert contents(taesd.parent) == {".partial/taesd.lock"}


def test_a_folder_that_cannot_be_written(taesd, hub):
    taesd.parent.write_text("a file where the folder should be")
    with pytest.raises(OutputError, match="cannot be written"):
        pull_all("taesd")


def test_two_pulls_of_a_model_at_the_same_time(taesd, hub):
    plan = plan_pull("taesd")
    first = pull(plan)
    next(first)
    with pytest.raises(OutputError, match="Another pull of 'taesd' is running"):
        list(pull(plan))
    list(first)
    assert installed() == ["taesd"]


def test_remove(taesd, hub, tiny_files, tmp_path):
    hub.cuts[WEIGHTS] = [100, *[0] * room_attempts()]
    with pytest.raises(MissingModelError):
        pull_all("taesd")
    assert remove("taesd") > 100
    hub.cuts.clear()
    pull_all("taesd")
    assert remove("taesd") >= sum(map(len, tiny_files.values()))
    assert installed() == []
    assert contents(taesd.parent) <= {".partial/taesd.lock"}
    with pytest.raises(ModelError, match="not on this machine; there is nothing to remove"):
        remove("taesd")
    with pytest.raises(UsageError, match="ships with artcloak"):
        remove("tiny-flux2")
    with pytest.raises(UnknownModelError, match="did you mean taesd"):
        remove("taesdd")


def test_remove_leaves_a_folder_alone_that_is_only_linked_to(models_at, tmp_path):
    real = tmp_path / "real"
    real.mkdir()
    (real / "config.json").write_text("{}")
    models_at.mkdir()
    (models_at / "sd15").symlink_to(real, target_is_directory=True)
    assert remove("sd15") == 0
    assert (real / "config.json").is_file()
    assert not (models_at / "sd15").exists()


def test_embedded_and_unknown_models_are_not_pulled(models_at):
    with pytest.raises(UsageError, match="ships with artcloak; there is nothing to pull"):
        plan_pull("tiny-flux2")
    with pytest.raises(UnknownModelError, match="Unknown model 'taes'; did you mean taesd") as caught:
        plan_pull("taes")
    assert caught.value.exit_code == 5
    with pytest.raises(MissingModelError, match="get it with: cloak models pull flux1"):
        model_path("flux1")


def test_a_damaged_record_is_said(taesd, hub):
    pull_all("taesd")
    (taesd / RECORD_NAME).write_text("{")
    with pytest.raises(ModelError, match="the record of what was pulled, is damaged"):
        plan_pull("taesd")


def test_groups_are_expanded_once_and_in_order():
    assert expand_groups(["taef1", "recommended"]) == ["taef1", "taesd", "taesdxl", "taesd3", "taef2"]
    assert set(expand_groups(["full"])) == {"sd15", "sd21", "sdxl", "sd3", "flux1", "flux2", "sana", "qwen-image"}
    with pytest.raises(UnknownModelError, match="Unknown model or group 'recomended'; did you mean recommended"):
        expand_groups(["recomended"])
