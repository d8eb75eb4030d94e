"""Settings of tiny raw-audio models, of both presets."""

from typing import Any

#: windows of 4,096 samples, 8 patches
SMALL: dict[str, Any] = {
    "sample_rate": 16_000,
    "window": 4096,
    "targets": 4,
    "run": 2,
    "orders": (8, 32),
    "spans": (256, 1024),
    "blocks": (128, 512),
    "refine_order": 4,
    "refine_span": 64,
    "combine_span": 128,
    "history": 16,
    "components": 2,
    "dim": 16,
    "heads": 2,
    "layers": 2,
    "decoder_dim": 16,
    "decoder_hidden": 24,
    "decoder_layers": 2,
}
#: windows of 800 samples, 4 patches
PAPER: dict[str, Any] = {
    "sample_rate": 8000,
    "window": 800,
    "patch": 200,
    "filters": (6, 6, 4),
    "dim": 16,
    "heads": 2,
    "layers": 2,
    "feed": 24,
    "head": 32,
}
