"""What the package logs, on stderr, as much of it as was asked for."""

import logging
import sys
import warnings


class _StderrHandler(logging.Handler):
    """Looks stderr up for every message: the progress display replaces it while it runs."""

    def emit(self, record: logging.LogRecord) -> None:
        print(self.format(record), file=sys.stderr)


class _LevelFormatter(logging.Formatter):
    """``audiomask: message``, with the level named from warnings on."""

    def format(self, record: logging.LogRecord) -> str:
        named = f"{record.levelname.lower()}: " if record.levelno >= logging.WARNING else ""
        return f"audiomask: {named}{super().format(record)}"


def set_up_messages(quiet: bool, verbose: bool, debug: bool) -> None:
    """Send the ``audiomask`` logger's messages to stderr.

    Warnings always; what was done (INFO) unless ``quiet``; details (DEBUG) when ``verbose``.
    Other packages' warnings, which address programmers, appear with ``debug`` only.
    """
    level = logging.WARNING if quiet else logging.INFO
    if verbose or debug:
        level = logging.DEBUG
    if not debug:
        warnings.simplefilter("ignore")
    handler = _StderrHandler()
    handler.setFormatter(_LevelFormatter())
    logger = logging.getLogger("audiomask")
    logger.handlers[:] = [handler]
    logger.setLevel(level)
    logger.propagate = False
