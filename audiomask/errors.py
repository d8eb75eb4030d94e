"""Errors that a user can mend: each message is one line that says what is wrong and what to do.

The command line prints the message and exits with ``exit_code``. It reports any other exception as
a defect of audiomask.
"""


def why(error: Exception) -> str:
    """The system's reason for an error, or its own text: not every OSError has an errno."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


class AudiomaskError(Exception):
    """Base of every error whose cause is the input, a file or the machine, not audiomask's code."""

    exit_code = 1


class UsageError(AudiomaskError):
    """The command or call asks for something impossible (exit code 2)."""

    exit_code = 2


class OutputExistsError(UsageError):
    """An output exists and may not be replaced; another process may have made it meanwhile."""


class ConfigError(UsageError):
    """A configuration key or value is wrong."""


class AudioFileError(AudiomaskError):
    """A file or stream is missing, is not audio, or cannot be written."""


class TokensError(AudiomaskError):
    """A token file is malformed, or belongs to another VQ-VAE."""


class CheckpointError(AudiomaskError):
    """A checkpoint folder is missing, incomplete, tampered with, or of another kind."""


class DeviceError(AudiomaskError):
    """A GPU failed or was removed: nothing more can be computed on it."""


class ClusterError(AudiomaskError):
    """A cluster cannot be reached, or none of its workers is left."""


class DeviceMemoryError(AudiomaskError):
    """A device has too little memory, even for the smallest batch."""


class DependencyError(AudiomaskError):
    """A required package is not installed, or cannot be loaded."""


class DataError(AudiomaskError):
    """A training data folder is empty or of no known layout."""
