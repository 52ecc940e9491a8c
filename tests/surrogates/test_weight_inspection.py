import hashlib
import json
import struct

import pytest
import torch
from safetensors.torch import save_file

from cloak.errors import ModelError
from cloak.surrogates import read_header
from cloak.surrogates.inspection import file_sha256


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "weights.safetensors"
    save_file({"a": torch.zeros(2, 3), "b.c": torch.ones(4, dtype=torch.bfloat16)}, path, metadata={"kind": "toy"})
    return path


def write(path, header: bytes, data: bytes = b""):
    path.write_bytes(struct.pack("<Q", len(header)) + header + data)
    return path


def test_header_tells_names_shapes_and_metadata(weights):
    header = read_header(weights)
    assert header.shapes == {"a": (2, 3), "b.c": (4,)}
    assert header.metadata == {"kind": "toy"}
    assert header.elements(["a", "b.c"]) == 10


@pytest.mark.parametrize("suffix", [".bin", ".ckpt", ".pt", ".pth", ".pkl", ".PTH"])
def test_pickles_are_refused_before_they_are_opened(tmp_path, suffix):
    with pytest.raises(ModelError, match="can run code") as caught:
        read_header(tmp_path / f"model{suffix}")
    assert "safetensors" in str(caught.value)


@pytest.mark.parametrize("kept", [0, 4, 8, 30, -1])
def test_truncated_files_are_refused(weights, kept):
    data = weights.read_bytes()
    weights.write_bytes(data[:kept])
    with pytest.raises(ModelError, match="truncated"):
        read_header(weights)


@pytest.mark.parametrize(
    "entries",
    [
        [1, 2],
        {"a": 1},
        {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}},
        {"a": {"dtype": "F32", "shape": [1], "data_offsets": [-4, 0]}},
        {"a": {"dtype": "F32", "shape": ["x"], "data_offsets": [0, 4]}},
        {"a": {"dtype": "F32", "shape": [1]}},
    ],
)
def test_headers_that_do_not_add_up_are_refused(tmp_path, entries):
    path = write(tmp_path / "a.safetensors", json.dumps(entries).encode(), b"1234")
    with pytest.raises(ModelError, match=r"a\.safetensors"):
        read_header(path)


def test_something_else_under_that_name_is_refused(tmp_path):
    path = tmp_path / "picture.safetensors"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" * 20)
    with pytest.raises(ModelError, match="not a safetensors file"):
        read_header(path)
    write(path, b"{" * 2000)
    with pytest.raises(ModelError, match="corrupt"):
        read_header(path)
    with pytest.raises(ModelError, match="cannot be read"):
        read_header(tmp_path)


def test_extra_bytes_are_refused(weights):
    weights.write_bytes(weights.read_bytes() + b"more")
    with pytest.raises(ModelError, match="32 bytes of weights announced, 36 there"):
        read_header(weights)


def test_sha256_of_a_file(weights):
    assert file_sha256(weights) == hashlib.sha256(weights.read_bytes()).hexdigest()


def test_pickled_weights_are_recognised_under_another_name(tmp_path):
    import pickle

    path = tmp_path / "model.safetensors"
    torch.save({"weight": torch.zeros(2)}, path)
    with pytest.raises(ModelError, match="is a pickled weight file, which can run code"):
        read_header(path)
    for protocol in (2, 3, 4, 5):
        path.write_bytes(pickle.dumps({"weight": 1}, protocol=protocol))
        with pytest.raises(ModelError, match="is a pickled weight file"):
            read_header(path)


@pytest.mark.parametrize("first", [2, 3, 4, 5])
def test_a_header_whose_length_begins_like_a_pickle_is_none(tmp_path, first):
    path = tmp_path / "model.safetensors"
    length = 0x80 + 256 * first
    header = b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    path.write_bytes(length.to_bytes(8, "little") + header.ljust(length) + bytes(4))
    assert read_header(path).shapes == {"w": (1,)}
