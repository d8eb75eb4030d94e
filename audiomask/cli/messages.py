"""What the package logs, on stderr, as much of it as was asked for."""

import logging
import sys
import unicodedata
import warnings


class _StderrHandler(logging.Handler):
    """Looks stderr up for every message: the progress display replaces it while it runs."""

    def emit(self, record: logging.LogRecord) -> None:
        # one write: lines of several threads must not come between each other
        sys.stderr.write(f"{self.format(record)}\n")


class _LevelFormatter(logging.Formatter):
    """``audiomask: message``, with the level named from warnings on."""

    def format(self, record: logging.LogRecord) -> str:
        named = f"{record.levelname.lower()}: " if record.levelno >= logging.WARNING else ""
        return printable(f"audiomask: {named}{super().format(record)}")


def printable(text: str) -> str:
    """The text on one line, with control characters and bytes that are no text spelt out.

    A file's name may hold a line break, or what would steer the terminal it is shown on.
    """
    return "".join(
        character.encode("unicode_escape").decode()
        if unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")
        else character
        for character in text
    )


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
