"""Settings: fields of the configurations of model, training and augmentation.

Run files and ``--set`` change them.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Collection, Mapping
from typing import Any, TypeVar

from audiomask.data.augmentation import RENAMED_SETTINGS
from audiomask.errors import ConfigError
from audiomask.training.hints import convert, fit, hints_of, wanted
from audiomask.training.options import RunFile, TrainOptions

#: the tables of a run file, in the order of the configurations in ``resolve``
TABLES = ("model", "schedule", "augmentation")
#: names of options; a setting with the same name can only be set as an option
OPTIONS = frozenset(hints_of(TrainOptions)) - {"overrides", "files"}

_Model = TypeVar("_Model")
_TrainConfig = TypeVar("_TrainConfig")
_Augmentation = TypeVar("_Augmentation")


def resolve(
    options: TrainOptions,
    model: _Model,
    train_config: _TrainConfig,
    augmentation: _Augmentation,
    fixed: Collection[str] = (),
) -> tuple[_Model, _TrainConfig, _Augmentation]:
    """The presets' configurations, changed by run files, ``--set`` and options.

    Each goes over those before: the presets, the tables of ``options.files`` in order, ``--set``,
    and the options that are fields of ``train_config`` (steps, batch_size, …; "auto" changes
    nothing).

    Args:
        options: of the run.
        model: the preset's configuration of the model.
        train_config: the kind's.
        augmentation: the default one.
        fixed: settings of the model that a required checkpoint decides, and may not be changed.

    Raises:
        ConfigError: a name is unknown, or a value does not fit or is out of range.
    """
    configs = dict(zip(TABLES, (model, train_config, augmentation), strict=True))
    found: dict[str, dict[str, Any]] = {table: {} for table in TABLES}
    source: dict[str, str] = {}  # where each setting was set, to begin a message with
    for file in options.files:
        for table, entries in _fitted(file, configs).items():
            found[table] |= entries
            source |= dict.fromkeys(entries, f"{file.path}: ")
    texts = split(options.overrides, *configs.values())
    for table, entries in zip(TABLES, texts, strict=True):
        found[table] |= entries
        source |= dict.fromkeys(entries, "--set: ")
    for key in OPTIONS & hints_of(type(train_config)).keys():
        value = getattr(options, key)
        if value is not None and value != "auto":
            found["schedule"][key] = value
    for key in fixed:
        own = getattr(model, key)
        if found["model"].get(key, own) != own:
            raise ConfigError(
                f"{source[key]}{key} is {found['model'][key]}, but {own} in the checkpoint whose "
                "tokens are learned: leave it out, or name another"
            )
    return (
        _replaced(model, found["model"], source),
        _replaced(train_config, found["schedule"], source),
        _replaced(augmentation, found["augmentation"], source),
    )


def split(overrides: Mapping[str, str], *configs: Any) -> list[dict[str, Any]]:
    """Assign ``key=value`` settings to the configurations that have the keys, converted.

    Raises:
        ConfigError: no configuration has the key, or the value does not fit.
    """
    found: list[dict[str, Any]] = [{} for _ in configs]
    homes = homes_of({str(number): type(config) for number, config in enumerate(configs)})
    for key, text in overrides.items():
        if not homes.get(key):
            raise ConfigError(f"--set: {unknown(key, homes, None)}")
        number = int(homes[key])
        hint = hints_of(type(configs[number]))[key]
        try:
            found[number][key] = convert(text, hint)
        except ValueError as error:
            raise ConfigError(f"--set {key}: '{text}' is not {wanted(hint)}") from error
    return found


def homes_of(configs: Mapping[str, type]) -> dict[str, str]:
    """The table of every setting, and "" for every option."""
    homes = {key: table for table, config in configs.items() for key in hints_of(config)}
    return homes | dict.fromkeys(OPTIONS, "")


def unknown(key: str, homes: Mapping[str, str], here: str | None) -> str:
    """The message about an unknown name, with its new name or the nearest known one.

    Args:
        key: the name.
        homes: the table of every known name, or "" for options.
        here: the table it was found in, "" above the tables, or None in ``--set``.
    """
    where = f" in [{here}]" if here else ""
    if key in RENAMED_SETTINGS:
        return f"no setting '{key}'{where}; it is called '{RENAMED_SETTINGS[key]}' now"
    # a name of another table is nearest to itself
    match = difflib.get_close_matches(key, homes, 1)
    if not match:
        names = sorted(name for name in homes if homes[name] == here or here is None)
        return f"no setting '{key}'{where}; there are {', '.join(names)}"
    (name,) = match
    home = homes[name]
    if here is None:
        nearest = f"'{name}'" if home else f"--{name.replace('_', '-')}"
    elif home == here:
        nearest = f"'{name}'"
    else:
        nearest = f"'{name}' in [{home}]" if home else f"'{name}' above the tables"
    return f"no setting '{key}'{where}; did you mean {nearest}?"


def _fitted(file: RunFile, configs: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The settings of a run file, converted; ConfigError for a wrong name or type."""
    homes = homes_of({table: type(config) for table, config in configs.items()})
    fitted: dict[str, dict[str, Any]] = {}
    for table, entries in file.tables.items():
        hints = hints_of(type(configs[table]))
        fitted[table] = {}
        for key, value in entries.items():
            if homes.get(key) != table:
                raise ConfigError(f"{file.path}: {unknown(key, homes, table)}")
            try:
                fitted[table][key] = fit(value, hints[key])
            except ValueError as error:
                need = wanted(hints[key])
                raise ConfigError(f"{file.path}: {key} is {value!r}, not {need}") from error
    return fitted


def _replaced(config: Any, settings: Mapping[str, Any], source: Mapping[str, str]) -> Any:
    """The configuration with settings changed; an error says where the wrong one was set."""
    try:
        return dataclasses.replace(config, **settings)
    except ConfigError as error:
        # its message begins with the name of the setting
        named = str(error).partition(" ")[0]
        raise ConfigError(f"{source.get(named, '')}{error}") from error
