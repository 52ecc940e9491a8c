"""What a protection run can be told. Command line, page, files and resume hashes are derived from these fields."""

import hashlib
import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from cloak.types import Device, Effort, FormatChoice, MetadataPolicy, Strength

__all__ = ["ProtectConfig"]


class ProtectConfig(BaseModel):
    """Settings of one protection run, the same for every picture of it."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    strength: Strength = Field(
        default="balanced", description="How visible the cloak may become; a hard cap on the written file."
    )
    effort: Effort = Field(
        default="standard", description="How much computing to spend; more effort, more effect at the same visibility."
    )
    models: tuple[str, ...] = Field(
        default=("auto",),
        min_length=1,
        description="Models to act on: auto, catalogue names, folders or safetensors files.",
    )
    method: str = Field(default="artcloak", description="Recipe; see `cloak methods list`.")
    target: str = Field(default="auto", description="Style to push towards: auto, a named style or a picture file.")
    style: str | None = Field(
        default=None, description="Name of the picture's own style, for methods that use words; found if not given."
    )
    own_budget: bool = Field(
        default=False, description="The method's published bound and number of steps, whatever strength and effort say."
    )
    key: Path | None = Field(
        default=None, description="Portfolio key file: the same target for all of an artist's pictures."
    )
    format: FormatChoice = Field(default="keep", description="Format of the output.")
    metadata: MetadataPolicy = Field(default="keep", description="What becomes of the picture's metadata.")
    notice: bool = Field(default=True, description="Write the IPTC/PLUS notice that prohibits AI training.")
    device: Device = Field(default="auto", description="Where to compute.")
    seed: int = Field(
        default=0, ge=0, lt=2**63, description="Same input, settings and seed give the same bytes on the same device."
    )
    max_memory: int = Field(default=4_000_000_000, ge=500_000_000, description="Memory the run may use, bytes.")
    min_effect: float | None = Field(
        default=None,
        gt=0,
        description="Least seen shift, in times the noise control; below it nothing is written (exit code 4).",
    )
    quality: int | None = Field(
        default=None,
        ge=50,
        le=100,
        description="JPEG and WebP quality, 100 is WebP without loss; default: the input's, at least 90.",
    )

    def digest(self) -> str:
        """sha256 of all settings; resume and certificates compare it."""
        return hashlib.sha256(json.dumps(self.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()
