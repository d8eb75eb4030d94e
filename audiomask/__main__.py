"""``python -m audiomask``: the same as the ``audiomask`` command."""

from audiomask.cli import main

if __name__ == "__main__":
    main()
