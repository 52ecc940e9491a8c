"""The page as a public demo; the host's own gate stands before it, so that it asks for no password."""

import os

from cloak_ui.limits import Limits
from cloak_ui.server import Address, serve

ADDRESS = Address(
    host="0.0.0.0",
    port=int(os.environ.get("PORT", "7860")),
    public=True,
    embedders="https://huggingface.co https://*.hf.space",
)

if __name__ == "__main__":
    serve(ADDRESS, limits=Limits(max_bytes=20_000_000, max_pixels=12_000_000, max_per_owner=2, job_seconds=600))
