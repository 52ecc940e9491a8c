"""How much one page takes on, so that no visitor can take it away from the others."""

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["Limits"]


class Limits(BaseModel):
    """What is refused, and how long things are kept."""

    model_config = ConfigDict(frozen=True)

    max_bytes: int = Field(default=100_000_000, ge=1_000, description="Largest file that is accepted, bytes.")
    max_pixels: int = Field(default=50_000_000, ge=1_000, description="Most pixels of a picture.")
    max_waiting: int = Field(default=32, ge=1, description="Most jobs that wait at once, all visitors together.")
    max_per_owner: int = Field(default=3, ge=1, description="Most unfinished jobs of one visitor.")
    job_seconds: float = Field(default=4 * 3600.0, gt=0, description="A job that takes longer is stopped.")
    gallery_pictures: int = Field(default=500, ge=1, description="Most files of a gallery.")
    gallery_bytes: int = Field(default=5_000_000_000, ge=1, description="Most bytes of a gallery's files together.")
    gallery_seconds: float = Field(default=7 * 86400.0, gt=0, description="How long an untouched gallery is kept.")
    keep_seconds: float = Field(default=3600.0, gt=0, description="How long files of a finished job stay.")
