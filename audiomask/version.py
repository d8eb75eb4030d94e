"""The version of audiomask; the build reads it here."""

__version__ = "0.1.0"
