"""Models behind one interface, the catalogue of known ones, and where they lie on this machine."""

from cloak.surrogates.base import Surrogate
from cloak.surrogates.catalogue import CATALOGUE, GROUPS, CatalogueEntry, ModelFile, catalogue_entry, expand_groups
from cloak.surrogates.clip import load_clip
from cloak.surrogates.conditioning import TextEmbedding
from cloak.surrogates.embedded import EMBEDDED_NAMES
from cloak.surrogates.ensemble import Ensemble
from cloak.surrogates.inspection import Header, read_header
from cloak.surrogates.loading import load_surrogate
from cloak.surrogates.pulling import PullPlan, plan_pull, pull, remove
from cloak.surrogates.store import installed, model_path, models_folder, resolve_models, verify
from cloak.surrogates.tiny_autoencoder import TinyAutoencoder

__all__ = [
    "CATALOGUE",
    "EMBEDDED_NAMES",
    "GROUPS",
    "CatalogueEntry",
    "Ensemble",
    "Header",
    "ModelFile",
    "PullPlan",
    "Surrogate",
    "TextEmbedding",
    "TinyAutoencoder",
    "catalogue_entry",
    "expand_groups",
    "installed",
    "load_clip",
    "load_surrogate",
    "model_path",
    "models_folder",
    "plan_pull",
    "pull",
    "read_header",
    "remove",
    "resolve_models",
    "verify",
]
