"""The command line, one file a subcommand: each parses options, calls the engine and reports.

No module here imports torch, numpy or rich at the top, so that ``--help`` is quick.
"""

from audiomask.cli.signals import default_interrupts

with default_interrupts():
    from audiomask.cli.app import main

__all__ = ["main"]
