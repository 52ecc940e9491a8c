import io
from collections.abc import Callable, Iterator

import numpy as np
import png
import pytest
from PIL import Image

from cloak.protect import Protector
from cloak.surrogates import embedded, store
from cloak.testing import toy_picture, write_toy_embedded


@pytest.fixture(scope="module", autouse=True)
def toy_models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The models that ship, replaced by toys; no others on this machine."""
    folder = tmp_path_factory.mktemp("embedded")
    write_toy_embedded(folder)
    patch = pytest.MonkeyPatch()
    patch.setattr(embedded, "embedded_folder", lambda: folder)
    patch.setattr(store, "embedded_folder", lambda: folder)
    patch.setenv("ARTCLOAK_MODELS", str(folder / "pulled"))
    yield
    patch.undo()


def drawn(height: int, width: int, mode: str = "RGB") -> Image.Image:
    """The toy picture; with alpha, a corner is transparent and a band half so."""
    samples = (toy_picture(height, width)[0].permute(1, 2, 0) * 255).round().byte().numpy()
    if mode != "RGBA":
        return Image.fromarray(samples).convert(mode)
    alpha = np.full((height, width, 1), 255, np.uint8)
    alpha[: height // 3, : width // 3] = 0
    alpha[-height // 4 :] = 90
    return Image.fromarray(np.concatenate([samples, alpha], 2))


def contents(kind: str, height: int, width: int, mode: str = "RGB", **options: object) -> bytes:
    stream = io.BytesIO()
    if mode == "RGB;16":
        samples = (toy_picture(height, width)[0].permute(1, 2, 0).numpy() * 65535).round().astype(np.uint16)
        png.from_array(samples.reshape(height, -1), mode).write(stream)
    else:
        drawn(height, width, mode).save(stream, kind, **options)
    return stream.getvalue()


@pytest.fixture(scope="session")
def draw() -> Callable[..., Image.Image]:
    return drawn


@pytest.fixture(scope="session")
def file_contents() -> Callable[..., bytes]:
    return contents


@pytest.fixture(scope="session")
def quick() -> Callable[..., Protector]:
    """A protector with few steps."""
    return lambda **settings: Protector(**{"effort": "instant", "device": "cpu", **settings})
