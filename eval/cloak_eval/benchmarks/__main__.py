"""Runs one benchmark, or says which there are."""

import argparse
import importlib
import pkgutil
import sys
from collections.abc import Sequence

from rich.console import Console

from cloak.errors import CloakError
from cloak_eval import benchmarks

__all__ = ["main"]

_Subparsers = argparse._SubParsersAction  # argparse has no public name for what `add_subparsers` returns


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark that the arguments name and return its exit code; without a name, list them."""
    parser = argparse.ArgumentParser(prog="python -m cloak_eval.benchmarks", description=benchmarks.__doc__)
    parser.set_defaults(run=None)
    _add_benchmarks(parser.add_subparsers(title="benchmarks", metavar="NAME"))
    options = parser.parse_args(arguments)
    if options.run is None:
        parser.print_help()
        return 0
    try:
        return int(options.run(options) or 0)
    except CloakError as error:
        Console(stderr=True, markup=False, highlight=False, soft_wrap=True).print(str(error), style="red")
        return error.exit_code


def _add_benchmarks(subparsers: "_Subparsers[argparse.ArgumentParser]") -> None:
    for found in pkgutil.iter_modules(benchmarks.__path__):
        if found.name.startswith("_"):
            continue
        module = importlib.import_module(f"{benchmarks.__name__}.{found.name}")
        if hasattr(module, "add_parser"):
            module.add_parser(subparsers)


if __name__ == "__main__":
    sys.exit(main())
