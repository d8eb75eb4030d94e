"""Configuration of the spectrogram model: input, network, masking and objective."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args, get_type_hints

from audiomask.errors import ConfigError

#: longest window of the spectrum, in hops, as memory grows with it
_MOST_HOPS = 64
#: most layers, which may share their weights, and longest window, as time grows with them
_MOST_LAYERS, _LONGEST = 64, 1 << 14
#: whole numbers that may be zero
_OPTIONAL_SIZES = ("kernel", "target_layer", "blank")
#: largest values of settings that are not shares, up to 1
_MOST = {
    "magnitude_weight": 1e3,
    "cluster_weight": 1e3,
    "continuation_weight": 1e3,
    "adversary_weight": 1e3,
    "far_distance": 600.0,
}


@dataclass(frozen=True)
class SpectrogramConfig:
    """Settings of the spectrogram model. Its presets are in ``presets.py``.

    Attributes:
        sample_rate: of the audio, in Hz.
        stft_size: window of the spectrum, in samples.
        hop_length: samples between frames.
        bands: mel-spaced bands.
        window: frames of the context, in training and inference.
        exponent: that magnitudes are raised to.
        dim, heads, layers, kernel: of the transformer; ``kernel`` is the width of its depthwise
            convolutions in frames, 0 for none.
        share_layers: whether all layers have the same weights, as in ALBERT.
        masked_share: share of the frames that are hidden.
        shortest_span, longest_span: of a hidden group, in frames.
        mask_value: what hidden frames are filled with.
        replacement: what the others of ``replaced_share`` become: the greater of noise and the
            original, or other frames of the window.
        blank_share, replaced_share: of the hidden groups; the rest stays unchanged.
        one_rule: whether all groups of a window are treated alike, as in Mockingjay.
        band_block: largest share of the bands that is hidden in all frames, as in TERA.
        noise_prob, noise: probability that a window gets noise, and its standard deviation.
        loss_on: the hidden parts, or the whole window.
        head: ``share`` multiplies the input by a sigmoid; ``magnitudes`` predicts the output.
        base: what the head's predictions start from in blanked frames: nothing, or a linear
            interpolation between the frames around them.
        magnitude_weight: of the L1 distance of magnitudes; 0 for no such head.
        targets: clusters to predict in hidden frames: k-means of MFCC, or of a layer of the
            checkpoint that training starts from; or a VQ-VAE's codes of level 1.
        clusters: number of clusters, or of these codes.
        target_layer: the layer whose clusters are ``targets`` and semantic tokens.
        semantic_clusters: number of semantic tokens, which are clusters of ``target_layer``.
        cluster_weight: of the cross-entropy of clusters.
        continuation_prob: share of windows whose second half may be another passage; 0 for no
            such head.
        other_song: share of these passages that are from other songs; others are from the same.
        far_passage: share of the same song's that are from anywhere in it.
        far_distance: least time between them and the excerpt, in seconds.
        beat_shift: share of the same song's that are the continuation, moved by up to four beats
            and a part of a beat. The rest of the same song's is from a window beside the pair's.
        separator: frames of alternating ones and zeros between the halves.
        blank: frames on either side of it that are hidden.
        continuation_weight: of the cross-entropy of "is the continuation".
        adversary_weight: of the adversary on filled groups; 0 for none.
    """

    sample_rate: int = 44100
    stft_size: int = 4096
    hop_length: int = 1024
    bands: int = 256
    window: int = 288
    exponent: float = 0.3
    dim: int = 256
    heads: int = 4
    layers: int = 6
    kernel: int = 7
    share_layers: bool = False
    masked_share: float = 0.2
    shortest_span: int = 4
    longest_span: int = 32
    mask_value: Literal["ones", "zeros"] = "ones"
    replacement: Literal["noise", "frames"] = "noise"
    blank_share: float = 0.8
    replaced_share: float = 0.1
    one_rule: bool = False
    band_block: float = 0.0
    noise_prob: float = 0.0
    noise: float = 0.05
    loss_on: Literal["hidden", "all"] = "hidden"
    head: Literal["share", "magnitudes"] = "share"
    base: Literal["none", "interpolated"] = "interpolated"
    magnitude_weight: float = 10.0
    targets: Literal["none", "mfcc", "layer", "vqvae"] = "mfcc"
    clusters: int = 128
    target_layer: int = 4
    semantic_clusters: int = 512
    cluster_weight: float = 0.1
    continuation_prob: float = 0.5
    other_song: float = 0.3
    far_passage: float = 0.5
    far_distance: float = 5.0
    beat_shift: float = 0.3
    separator: int = 8
    blank: int = 8
    continuation_weight: float = 0.3
    adversary_weight: float = 0.0

    def __post_init__(self) -> None:
        """Check all values.

        Raises:
            ConfigError: a value is invalid.
        """
        for name, hint in get_type_hints(type(self)).items():
            _check(name, getattr(self, name), hint)
        if self.sample_rate < 1000:
            raise ConfigError(f"sample_rate is {self.sample_rate}; it must be at least 1000")
        if not self.hop_length <= self.stft_size <= _MOST_HOPS * self.hop_length:
            least, most = self.hop_length, _MOST_HOPS * self.hop_length
            raise ConfigError(f"stft_size is {self.stft_size}; it must be from {least} to {most}")
        if self.bands < 2:
            raise ConfigError(f"bands is {self.bands}; it must be at least 2")
        if not self.exponent > 0:
            raise ConfigError(f"exponent is {self.exponent}; it must be more than 0")
        if self.window % 2 or self.window > _LONGEST:
            raise ConfigError(f"window is {self.window}; it must be even, and {_LONGEST} at most")
        if self.kernel and self.kernel % 2 == 0:
            raise ConfigError(f"kernel is {self.kernel}; it must be odd, or 0 for none")
        if self.dim % (2 * self.heads):
            raise ConfigError(f"dim is {self.dim}; it must be a multiple of twice the heads")
        if self.layers > _MOST_LAYERS:
            raise ConfigError(f"layers is {self.layers}; it must be {_MOST_LAYERS} at most")
        if self.target_layer > self.layers:
            raise ConfigError(f"target_layer is {self.target_layer}; there are {self.layers}")
        self._check_masking()
        self._check_objective()

    def _check_masking(self) -> None:
        """Raise ConfigError for a masking that cannot be."""
        if not 0 < self.masked_share < 1:
            raise ConfigError(f"masked_share is {self.masked_share}; it must be between 0 and 1")
        if not self.shortest_span <= self.longest_span <= self.window // 2:
            least, most = self.shortest_span, self.window // 2
            raise ConfigError(
                f"longest_span is {self.longest_span}; it must be from {least} to {most}"
            )
        if self.blank_share + self.replaced_share > 1.0001:
            raise ConfigError(
                f"replaced_share is {self.replaced_share}; with blank_share it must be 1 at most"
            )
        if self.separator % 2 or self.separator + 2 * self.blank > self.window // 2:
            most = self.window // 2
            raise ConfigError(
                f"separator is {self.separator}; it must be even, and {most} at most with twice "
                "the blank"
            )

    def _check_objective(self) -> None:
        """Raise ConfigError for an objective that cannot be."""
        if self.far_passage + self.beat_shift > 1.0001:
            raise ConfigError(
                f"beat_shift is {self.beat_shift}; with far_passage it must be 1 at most"
            )
        if self.head == "share":
            # a share of zeros is zero, and one of other frames is at most these
            for name, wanted in (("mask_value", "ones"), ("replacement", "noise")):
                if getattr(self, name) != wanted:
                    raise ConfigError(f"{name} is {getattr(self, name)}; a share needs {wanted}")
        if not self.magnitude_weight and self.targets == "none":
            raise ConfigError("targets is none; without magnitude_weight it must be another")
        if self.adversary_weight and not self.magnitude_weight:
            raise ConfigError("adversary_weight is set; it needs magnitude_weight")


def _check(name: str, value: Any, hint: Any) -> None:
    """Raise ConfigError for a value that is not of its type or out of its range."""
    if hint is bool:
        if not isinstance(value, bool):
            raise ConfigError(f"{name} is {value!r}; it must be true or false")
    elif hint is int:
        least = 0 if name in _OPTIONAL_SIZES else 1
        if type(value) is not int or not least <= value <= 1 << 20:
            raise ConfigError(f"{name} is {value!r}; it must be a whole number from {least}")
    elif hint is float:
        most = _MOST.get(name, 1.0)
        if type(value) not in (int, float) or not 0 <= value <= most:
            raise ConfigError(f"{name} is {value!r}; it must be from 0 to {most:g}")
    elif value not in get_args(hint):
        raise ConfigError(f"{name} is {value!r}; it must be {' or '.join(get_args(hint))}")
