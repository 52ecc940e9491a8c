"""Copy trained weights into the package and write down where they come from.

python eval/training/publish.py --flux2 DIR --sd1 DIR
"""

import argparse
import hashlib
import json
import shutil
from pathlib import Path

from safetensors import safe_open

EMBEDDED = Path(__file__).resolve().parents[2] / "cloak" / "embedded"
SOURCES = {
    "flux2": {
        "teacher": "madebyollin/taef2 (MIT), the tiny autoencoder of FLUX.2's latent space",
        "parts": ["encoder", "decoder"],
        "script": "eval/training/levels.py flux2, from weights by eval/training/distil.py flux2",
    },
    "sd1": {
        "teacher": "Graphnull/VAElight (Apache-2.0), a coarse student of Stable Diffusion 1's encoder",
        "parts": ["encoder"],
        "script": "eval/training/distil.py sd1",
    },
}
DATA = (
    "113 public-domain pictures by W. Crane, G. Doré, C. Monet, J. R. Neill, H. Pyle and V. F. Sterrett; "
    "1600 emoji of the npm packages @iconify-json/noto, fluent-emoji, fluent-emoji-flat (MIT, Apache-2.0) and fxemoji "
    "(Apache-2.0), rendered with resvg"
)


def describe(path: Path, family: str) -> dict[str, object]:
    """What the provenance file says about one weight file."""
    with safe_open(path, "np") as file:
        metadata = file.metadata()
    return {
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "bytes": path.stat().st_size,
        "licence": "Apache-2.0",
        "teacher": SOURCES[family]["teacher"],
        "data": DATA,
        "script": SOURCES[family]["script"],
        "steps": int(metadata["steps"]),
        "training_seconds": int(metadata["seconds"]),
        "architecture": json.loads(metadata["architecture"]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for family in SOURCES:
        parser.add_argument(f"--{family}", type=Path, help=f"work folder of the {family} distillation")
    options = vars(parser.parse_args())
    target = EMBEDDED / "provenance.json"
    files = json.loads(target.read_text())["files"] if target.exists() else {}
    for family, source in SOURCES.items():
        if options[family] is None:
            continue
        for part in source["parts"]:
            name = f"{family}_{part}.safetensors"
            shutil.copyfile(options[family] / name, EMBEDDED / name)
            files[name] = describe(EMBEDDED / name, family)
    target.write_text(json.dumps({"schema_version": 1, "files": files}, indent=1) + "\n")


if __name__ == "__main__":
    main()
