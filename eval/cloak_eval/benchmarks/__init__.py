"""What the package can do and what that costs, measured: `python -m cloak_eval.benchmarks NAME`.

Each module here that has `add_parser` is one benchmark; nothing else lists them.
"""

__all__: list[str] = []
