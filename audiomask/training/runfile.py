"""Run files: the TOML that ``--config`` reads, and that a run writes beside its checkpoint.

Above its tables a run file has options of ``audiomask train`` by their long names, with dashes or
underscores; paths are relative to the file's folder. The tables hold settings::

    data = ["notes", "midi"]
    max-time = "9m"
    batch_size = 4

    [model]             # fields of the kind's configuration
    levels = 3
    [schedule]          # fields of training.config.TrainConfig that have no option
    learning_rate = 3e-4
    [augmentation]      # fields of data.augmentation.Augmentation
    pitch_tempo_prob = 0.5
    [origin]            # of the run that wrote the file: no settings

:mod:`audiomask.training.record` writes them.
"""

from __future__ import annotations

import codecs
import difflib
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from audiomask.data.places import place_of
from audiomask.errors import ConfigError, UsageError, why
from audiomask.kinds import KINDS, resolve
from audiomask.options import options_of
from audiomask.training.hints import fit, hints_of, wanted
from audiomask.training.options import RunFile, TrainOptions, parse_time
from audiomask.training.settings import OPTIONS, TABLES, homes_of, unknown

RUN_FILE = "run.toml"
#: options of one call, which a run file may not have
_CALL = frozenset({"resume", "dry_run", "pack", "quiet", "verbose", "debug", "config"})
_LINE = re.compile(r" \(at line (\d+), column \d+\)$")


def read_run(path: Path, kind: str) -> RunFile:
    """Read a run file for training a kind of model; its settings are not checked yet.

    Raises:
        ConfigError: it cannot be read, is no TOML, is of another kind, or an option in it is
            unknown or does not fit.
    """
    document = _parse(path)
    options: dict[str, Any] = {}
    tables: dict[str, Mapping[str, Any]] = {}
    origin: Mapping[str, Any] = {}
    for name, value in document.items():
        key = name.replace("-", "_")
        if key in (*TABLES, "origin"):
            if not isinstance(value, dict):
                raise ConfigError(f"{path}: {name} is {value!r}, not a table: write [{name}]")
            if key == "origin":
                origin = value
            else:
                tables[key] = value
        elif key in options:
            raise ConfigError(f"{path}: {key} is given twice, as {name}, too")
        elif key in _CALL:
            raise ConfigError(f"{path}: --{name} is for the command line only")
        elif key in OPTIONS:
            options[key] = _option(path, key, value)
        elif isinstance(value, dict):
            near = difflib.get_close_matches(name, TABLES, 1)
            hint = f"did you mean [{near[0]}]?" if near else f"there are [{'], ['.join(TABLES)}]"
            raise ConfigError(f"{path}: no table [{name}]; {hint}")
        else:
            raise ConfigError(f"{path}: {unknown(key, _homes(kind), '')}")
    if origin.get("kind", kind) != kind:
        raise ConfigError(f"{path}: is of 'audiomask train {origin['kind']}'")
    return RunFile(path, options, tables, origin)


def saved_run(folder: Path, kind: str) -> RunFile | None:
    """The run file in a run's folder, or None.

    Raises:
        ConfigError: it is damaged, or is of another kind.
    """
    file = folder / RUN_FILE
    return read_run(file, kind) if file.is_file() else None


def merge(files: Sequence[RunFile], given: Mapping[str, Any]) -> dict[str, Any]:
    """The options of the command line over those of run files, and of later files over earlier."""
    merged: dict[str, Any] = {}
    for options in (*(file.options for file in files), given):
        merged |= options
    return merged


def _parse(path: Path) -> dict[str, Any]:
    """Parse a file's TOML; ConfigError names the line of a syntax error."""
    try:
        return tomllib.loads(_decode(path.read_bytes()))
    except OSError as error:
        raise ConfigError(f"--config {path}: {why(error)}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not TOML, nor a text in UTF-8; save it as UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        line = _LINE.search(str(error))
        where = f", line {line[1]}" if line else ""
        raise ConfigError(f"{path}{where}: not TOML ({_LINE.sub('', str(error))})") from error
    except ValueError as error:  # Python reads no number of more than 4,300 digits
        raise ConfigError(f"{path}: not TOML that can be read (a number is too long)") from error
    except RecursionError as error:
        raise ConfigError(f"{path}: not TOML that can be read (too deep)") from error


def _decode(content: bytes) -> str:
    """Decode UTF-8, or UTF-16 with a byte order mark; CRLF becomes LF."""
    marked = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    text = content.decode("utf-16" if marked else "utf-8-sig")
    return text.replace("\r\n", "\n")


def _option(path: Path, key: str, value: Any) -> Any:
    """The converted value of an option in the file; paths are relative to the file's folder."""
    hint = hints_of(TrainOptions)[key]
    if key == "max_time" and isinstance(value, str):
        try:
            return parse_time(value)
        except UsageError as error:
            raise ConfigError(f"{path}: {key}: {error}") from error
    try:
        fitted = fit(value, hint)
    except ValueError as error:
        need = "a time such as '9m'" if key == "max_time" else wanted(hint)
        raise ConfigError(f"{path}: {key} is {value!r}, not {need}") from error
    if key == "max_time" and fitted <= 0:
        raise ConfigError(f"{path}: {key} is {value!r}; a time must be more than zero")
    option = options_of(TrainOptions).get(key)
    least = 1 if key == "threads" else option.least if option else None
    if least is not None and isinstance(fitted, int) and fitted < least:
        raise ConfigError(f"{path}: {key} is {value!r}; it must be at least {least}")
    if isinstance(fitted, Path):
        # an unknown ~user stays as it is, and is reported as a folder that does not exist
        return path.parent / os.path.expanduser(fitted)
    if isinstance(fitted, tuple):
        return tuple(place_of(text, path.parent) for text in value)
    return fitted


def _homes(kind: str) -> dict[str, str]:
    """The table of every name, for the hint of an error; imports torch."""
    from audiomask.data.augmentation import Augmentation
    from audiomask.training.config import TrainConfig

    models = [resolve(config) for config in KINDS[kind].configs]
    homes: dict[str, str] = {}
    for model in models:
        homes |= homes_of(dict(zip(TABLES, (model, TrainConfig, Augmentation), strict=True)))
    return {name: home for name, home in homes.items() if name not in _CALL}
