"""Several pictures at once: each gets what it gets alone, whatever its neighbours are."""

import pytest
import torch

from cloak.batch import most_together
from cloak.failures import OUT_OF_MEMORY, explain
from cloak.image import read_picture
from cloak.surrogates.tiny_autoencoder import TinyAutoencoder

KINDS = {
    "a.png": ("PNG", 40, 48),
    "b.png": ("PNG", 40, 48, "RGBA"),
    "c.jpg": ("JPEG", 40, 48),
    "other size.png": ("PNG", 33, 47),
    "d.png": ("PNG", 40, 48, "L"),
    "e.webp": ("WEBP", 40, 48),
    "f.png": ("PNG", 40, 48, "RGB;16"),
}
VOLATILE = {"created", "seconds", "peak_memory_bytes"}


def ends(protector, pictures):
    """The result or error of each, in order."""
    last = {}
    for place, told in protector.batch(pictures):
        assert not isinstance(last.get(place), Exception)
        last[place] = told
    return [told if isinstance(told, Exception) else told.result for _, told in sorted(last.items())]


def facts(result):
    return result.certificate.model_dump(exclude=VOLATILE)


def watched(monkeypatch, change=lambda x: x):
    """Sizes of the batches that models learn something about, as `change` lets them through."""
    features, sizes = TinyAutoencoder._features, []

    def watching(self, x):
        if x.requires_grad:
            sizes.append(len(x))
            x = change(x)
        return features(self, x)

    monkeypatch.setattr(TinyAutoencoder, "_features", watching)
    return sizes


@pytest.mark.parametrize("effort", ["instant", "fast"])
def test_every_picture_gets_the_bytes_that_it_gets_alone(quick, file_contents, effort):
    pictures = [(file_contents(*kind), name) for name, kind in KINDS.items()]
    found = ends(quick(effort=effort), [*pictures[:3], (b"no picture", "broken.png"), *pictures[3:]])
    assert explain(found.pop(3)).kind == "InputError"
    alone = quick(effort=effort)
    for (data, name), result in zip(pictures, found, strict=True):
        (*_, last) = alone.steps(data, name=name)
        assert result.data == last.result.data, name
        assert facts(result) == facts(last.result), name
        assert read_picture(result.data).size == read_picture(data).size


def test_those_of_one_size_are_put_to_the_models_together(quick, file_contents, monkeypatch):
    sizes = watched(monkeypatch)
    protector = quick()
    protector.alike[40, 48] |= set(range(9))  # as if it had been seen
    ends(protector, [(file_contents(*kind), name) for name, kind in KINDS.items()])
    assert set(sizes) == {6, 1}


def test_where_neighbours_change_the_bits_there_are_none(quick, file_contents, monkeypatch):
    watched(monkeypatch, lambda x: x * (1 + 1e-4 * (len(x) - 1)))
    pictures = [(file_contents(*KINDS[name]), name) for name in ("a.png", "b.png", "c.jpg")]
    protector = quick()
    found = ends(protector, pictures)
    assert protector.alone
    assert [result.data for result in found] == [quick()(data).data for data, _ in pictures]


def test_without_memory_for_all_there_is_for_half(quick, file_contents, monkeypatch):
    def limited(x):
        if len(x) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return x

    sizes = watched(monkeypatch, limited)
    protector = quick()
    protector.alike[40, 48] |= set(range(9))
    pictures = [(file_contents("PNG", 40, 48), f"{number}.png") for number in range(4)]
    found = ends(protector, pictures)
    assert len({result.data for result in found}) == 1
    assert sizes[:2] == [4, 2]
    assert set(sizes) == {4, 2}


def test_a_picture_that_is_too_much_even_alone_leaves_the_others(quick, file_contents, monkeypatch):
    dark = file_contents("PNG", 40, 48, "L")

    def limited(x):
        if (x[:, 0] == x[:, 1]).flatten(1).all(1).any():  # a grey one is among them
            raise MemoryError
        return x

    watched(monkeypatch, limited)
    first, last = file_contents("PNG", 40, 48), file_contents("JPEG", 40, 48)
    found = ends(quick(), [(first, "a.png"), (dark, "grey.png"), (last, "b.jpg")])
    assert explain(found[1]).kind == OUT_OF_MEMORY
    assert [found[0].data, found[2].data] == [quick()(first).data, quick()(last).data]


def test_a_floor_that_is_not_reached_is_told_for_each(quick, file_contents):
    found = ends(quick(min_effect=1e6), [(file_contents(*KINDS[name]), name) for name in ("a.png", "c.jpg")])
    assert [explain(error).kind for error in found] == ["FloorError", "FloorError"]
    assert [str(error).split(":")[0] for error in found] == ["a.png", "c.jpg"]


def test_files_are_written_as_alone(quick, file_contents, tmp_path):
    for name in ("a.png", "c.jpg"):
        (tmp_path / name).write_bytes(file_contents(*KINDS[name]))
    found = ends(quick(), [(tmp_path / name, None) for name in ("a.png", "c.jpg")])
    assert [result.path.name for result in found] == ["a.cloaked.png", "c.cloaked.jpg"]
    assert all(result.path.read_bytes() == result.data for result in found)


@pytest.mark.parametrize(
    ("size", "side", "expected"),
    [
        ((64, 64), 512, 8),
        ((24, 300), 512, 8),
        ((128, 128), 512, 8),
        ((128, 129), 512, 1),
        ((128, 128), 256, 4),
        ((100, 100), 128, 1),
        ((1000, 700), 512, 1),
    ],
)
def test_the_smaller_the_more(size, side, expected):
    assert most_together(*size, side=side) == expected
