"""Settings of tiny stages of the language model."""

from typing import Any

#: whole runs' settings, as the command line has them, by stage: windows of 16 tokens or 32 frames
STAGES: dict[str, dict[str, str]] = {
    stage: {"dim": "8", "heads": "2", "layers": "1", "kernel": "3", "coarse_levels": "1"}
    | {"window": "16" if stage == "semantic" else "32"}
    for stage in ("semantic", "coarse", "fine", "acoustic")
}
#: what the tiny VQ-VAE and spectrogram model decide
TOKENS: dict[str, Any] = {
    "sample_rate": 44_100,
    "hop_length": 512,
    "codebook_size": 32,
    "levels": 2,
    "clusters": 6,
    "semantic_hop": 2048,
    "coarse_levels": 1,
}
#: sizes of models built directly
SMALL: dict[str, Any] = {"dim": 16, "heads": 2, "layers": 2, "kernel": 3, "window": 32}


def settings(stage: str, **more: Any) -> dict[str, Any]:
    """Settings of a tiny stage."""
    own: dict[str, Any] = {"stage": stage}
    if stage == "semantic":
        own |= {"hop_length": TOKENS["semantic_hop"]}
    return TOKENS | SMALL | own | more
