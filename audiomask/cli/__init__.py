"""The command line: one file per subcommand, each parses, calls the engine and reports.

Nothing here imports torch, numpy or rich when the module is loaded: ``--help`` must be quick.
"""

from audiomask.cli.signals import default_interrupts

with default_interrupts():
    from audiomask.cli.app import main

__all__ = ["main"]
