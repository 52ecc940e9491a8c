"""A page as `cloak ui` serves it, whose self-tests train a small model with random weights for a few steps.

It is a program of its own, as the working process begins by running it again.
"""

import os
import sys
from pathlib import Path
from typing import Any

from cloak_eval import selftest

_plan, _model = selftest.plan_selftest, os.environ["ARTCLOAK_TEST_MODEL"]


def plan_selftest(folder: Path, **options: Any) -> Any:
    settings = {name: {"steps": 3, "sampling_steps": 1} for name in ("lora", "none")}
    changes = {"mimic_settings": settings, "judge_crops": 1, "effort": "instant", "countermeasures": ("none",)}
    plan = _plan(folder, **{**options, "model": _model})
    return plan.model_copy(update={**changes, "metrics": ("protection-success",), "posted_side": 64})


selftest.plan_selftest = plan_selftest

if __name__ == "__main__":
    from cloak.cli.main import run

    sys.exit(run(["ui", *sys.argv[1:]]))
