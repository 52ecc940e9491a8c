"""The models that are known by name: where they come from, what they weigh and what they may be used for."""

from dataclasses import dataclass

from cloak.errors import UnknownNameError

__all__ = ["CATALOGUE", "GROUPS", "CatalogueEntry", "ModelFile", "catalogue_entry"]

AUTOENCODER = frozenset({"encode", "decode"})
GENERATOR = AUTOENCODER | {"denoise", "embed_text"}
_MB = 1_000_000


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A file of a published model.

    Args:
        path: within the model's folder, with forward slashes.
        sha256: of its bytes at the pinned revision, None while unknown.
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
        revision: pinned commit on the hub, None while unknown.
        files: what is fetched; those of the autoencoder come first.
        size_bytes: of all files together, approximate.
        memory_bytes: to hold the autoencoder and take one gradient through `see` at 512 x 512 in float32, approximate:
            its parameters and what the backward pass keeps, counted on the published configuration.
        licence: SPDX name, or the publisher's.
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


def _tiny(name: str, family: str, of: str, hub_id: str, files: tuple[ModelFile, ...] = _ALONE) -> CatalogueEntry:
    return CatalogueEntry(
        name=name,
        summary=f"Tiny autoencoder with the latent space of {of}",
        family=family,
        hub_id=hub_id,
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
    _tiny("taesd", "sd1", "Stable Diffusion 1 and 2", "madebyollin/taesd"),
    _tiny("taesdxl", "sdxl", "Stable Diffusion XL", "madebyollin/taesdxl"),
    _tiny("taesd3", "sd3", "Stable Diffusion 3", "madebyollin/taesd3"),
    _tiny("taef1", "flux1", "FLUX.1", "madebyollin/taef1"),
    _tiny(
        "taef2",
        "flux2",
        "FLUX.2",
        "madebyollin/taef2",
        _files("taef2_encoder.safetensors", "taef2_decoder.safetensors"),
    ),
    CatalogueEntry(
        name="sd15",
        summary="Stable Diffusion 1.5: autoencoder, text encoder and UNet",
        family="sd1",
        hub_id="stable-diffusion-v1-5/stable-diffusion-v1-5",
        size_bytes=2300 * _MB,
        memory_bytes=9_600 * _MB,
        licence="CreativeML-OpenRAIL-M",
        files=_PIPELINE,
        capabilities=GENERATOR,
    ),
    CatalogueEntry(
        name="sd21",
        summary="Stable Diffusion 2.1: autoencoder, text encoder and UNet",
        family="sd2",
        hub_id="stabilityai/stable-diffusion-2-1",
        size_bytes=2800 * _MB,
        memory_bytes=9_600 * _MB,
        licence="CreativeML-OpenRAIL++-M",
        files=_PIPELINE,
        capabilities=GENERATOR,
    ),
    CatalogueEntry(
        name="sdxl",
        summary="Stable Diffusion XL 1.0: autoencoder, two text encoders and UNet",
        family="sdxl",
        hub_id="stabilityai/stable-diffusion-xl-base-1.0",
        size_bytes=7100 * _MB,
        memory_bytes=9_600 * _MB,
        licence="CreativeML-OpenRAIL++-M",
        files=_PIPELINE + _SECOND_TEXT_ENCODER,
        capabilities=GENERATOR,
    ),
    CatalogueEntry(
        name="sd3",
        summary="Stable Diffusion 3's autoencoder",
        family="sd3",
        hub_id="stabilityai/stable-diffusion-3-medium-diffusers",
        size_bytes=168 * _MB,
        memory_bytes=9_600 * _MB,
        licence="Stability AI Community License",
        files=_IN_PIPELINE,
    ),
    CatalogueEntry(
        name="flux1",
        summary="FLUX.1's autoencoder, also that of several other models",
        family="flux1",
        hub_id="black-forest-labs/FLUX.1-schnell",
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
        files=_ALONE,
    ),
    CatalogueEntry(
        name="qwen-image",
        summary="Qwen-Image's autoencoder, that of Wan 2.1",
        family="qwen-image",
        hub_id="Qwen/Qwen-Image",
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
    """The entry called `name`; raises UnknownNameError with close matches."""
    if name not in CATALOGUE:
        raise UnknownNameError("model", name, CATALOGUE)
    return CATALOGUE[name]
