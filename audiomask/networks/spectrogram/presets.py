"""Presets of the spectrogram model: papers' objectives as settings of one model.

All have the size of the default, so that they can be compared. Lengths are of frames of 23 ms,
twice as long as the papers' on speech.
"""

from __future__ import annotations

from typing import Any

#: Mockingjay (Liu et al. 2020, sections 2.1 and 2.2): 15 % of the frames in groups of 7 are zeros,
#: other frames or unchanged, by one draw for a window, and are reconstructed
_MOCKINGJAY: dict[str, Any] = {
    "kernel": 0,
    "masked_share": 0.15,
    "shortest_span": 7,
    "longest_span": 7,
    "mask_value": "zeros",
    "replacement": "frames",
    "one_rule": True,
    "head": "magnitudes",
    "base": "none",
    "targets": "none",
    "continuation_prob": 0.0,
}

#: settings by the preset's name
PRESETS: dict[str, dict[str, Any]] = {
    "default": {},
    # the frame transformer's BERT for track separation: long groups of ones, whether the second
    # half is the continuation (two thirds of the others from another song, the rest from anywhere
    # in the same one), and clusters
    "frame-transformer": {
        "window": 1024,
        "kernel": 0,
        "base": "none",
        "masked_share": 0.15,
        "shortest_span": 16,
        "continuation_prob": 1.0,
        "other_song": 0.67,
        "far_passage": 1.0,
        "beat_shift": 0.0,
        "separator": 16,
        "blank": 16,
    },
    "mockingjay": _MOCKINGJAY,
    # Audio ALBERT (Chi et al. 2021, section 2.2): Mockingjay with one layer's weights in all
    "audio-albert": _MOCKINGJAY | {"share_layers": True},
    # TERA (Liu et al. 2021, section III-B): time, a block of up to 20 % of the bands, and noise
    "tera": _MOCKINGJAY | {"band_block": 0.2, "noise_prob": 0.15},
    # HuBERT (Hsu et al. 2021, sections II-A to II-C): half of the frames, in groups of 10 of its
    # own 20 ms, and only clusters to predict
    "hubert": {
        "kernel": 0,
        "masked_share": 0.5,
        "shortest_span": 9,
        "longest_span": 9,
        "blank_share": 1.0,
        "replaced_share": 0.0,
        "magnitude_weight": 0.0,
        "clusters": 100,
        "cluster_weight": 1.0,
        "continuation_prob": 0.0,
    },
}
