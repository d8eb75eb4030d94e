"""Checkpoints: folders of config.json and model.safetensors, never pickle."""

from audiomask.checkpoint.library import CheckpointLibrary
from audiomask.checkpoint.loader import ModelLoader
from audiomask.checkpoint.store import (
    CONFIG_FILE,
    MODEL_FILE,
    Checkpoint,
    bundled_folder,
    fingerprint_of,
    load_checkpoint,
    load_weights,
    read_config,
    restore,
    save_checkpoint,
)

__all__ = [
    "CONFIG_FILE",
    "MODEL_FILE",
    "Checkpoint",
    "CheckpointLibrary",
    "ModelLoader",
    "bundled_folder",
    "fingerprint_of",
    "load_checkpoint",
    "load_weights",
    "read_config",
    "restore",
    "save_checkpoint",
]
