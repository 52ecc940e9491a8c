"""`python -m cloak.cli` is the same as the command `cloak`."""

from cloak.cli.main import main

if __name__ == "__main__":
    main()
