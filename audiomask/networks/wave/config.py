"""Configurations of the raw-audio model: the default, and the paper's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, get_type_hints

from audiomask.errors import ConfigError

#: largest whole number of a setting, and most layers, as time and memory grow with them
_MOST, _MOST_LAYERS = 1 << 21, 64
#: a patch is a multiple of so many samples: the product of the encoder's strides
STRIDES = (8, 4, 4)


@dataclass(frozen=True)
class WaveConfig:
    """Settings of the default model.

    Attributes:
        sample_rate: of the audio, in Hz.
        window: longest context, in samples.
        patch: samples of a patch.
        targets: patches of a window whose samples are predicted in a training step.
        run: how many of them lie side by side.
        orders: of the linear predictors that adapt backwards, shortest first.
        spans: past samples that each of them is estimated from.
        blocks: samples after which each of them is estimated anew.
        refine_order, refine_span, refine_block: of the short predictor that predicts what each
            longer one leaves over.
        combine_span, combine_block: past samples by which all predictions are weighted to make one
            of them, and samples after which they are weighted anew.
        history: past samples that the decoder sees, with their residuals.
        components: logistic distributions that are centered on each prediction.
        dim, heads, layers: of the transformer over patches.
        decoder_dim, decoder_hidden, decoder_layers: of the decoder.
    """

    sample_rate: int = 16_000
    window: int = 524_288
    patch: int = 512
    targets: int = 32
    run: int = 16
    orders: tuple[int, ...] = (32, 128, 256, 2048)
    spans: tuple[int, ...] = (2048, 4096, 16_384, 131_072)
    blocks: tuple[int, ...] = (128, 128, 512, 512)
    refine_order: int = 32
    refine_span: int = 1024
    refine_block: int = 64
    combine_span: int = 512
    combine_block: int = 32
    history: int = 64
    components: int = 4
    dim: int = 128
    heads: int = 4
    layers: int = 4
    decoder_dim: int = 128
    decoder_hidden: int = 384
    decoder_layers: int = 3

    def __post_init__(self) -> None:
        """Check all values.

        Raises:
            ConfigError: a value is invalid.
        """
        _check_numbers(self)
        unit = STRIDES[0] * STRIDES[1] * STRIDES[2]
        if self.patch % unit:
            raise ConfigError(f"patch is {self.patch}; it must be a multiple of {unit}")
        if self.window % self.patch:
            raise ConfigError(f"window is {self.window}; it must be a multiple of the patch")
        if self.targets % self.run or self.run > self.window // self.patch:
            raise ConfigError(
                f"run is {self.run}; it must divide targets ({self.targets}) and fit into a window"
            )
        if not self.orders or len({len(self.orders), len(self.spans), len(self.blocks)}) > 1:
            raise ConfigError("orders, spans and blocks must be of the same number, 1 at least")
        estimates = [*zip(self.orders, self.spans, self.blocks, strict=True)]
        for order, span, block in (
            *estimates,
            (self.refine_order, self.refine_span, self.refine_block),
        ):
            if span < 2 * order:
                raise ConfigError(f"a span is {span}; it must be at least twice the order {order}")
            _check_block(block, self.patch)
        _check_block(self.combine_block, self.patch)
        _check_attention(self.dim, self.heads, self.layers)
        if self.decoder_layers > _MOST_LAYERS:
            raise ConfigError(
                f"decoder_layers is {self.decoder_layers}; it must be {_MOST_LAYERS} at most"
            )


@dataclass(frozen=True)
class PaperConfig:
    """Settings of the paper's model (Verma 2022): one prediction a window.

    Attributes:
        sample_rate: of the audio, in Hz.
        window: context, in samples; the paper's contexts are up to 500,000.
        patch: samples of a patch.
        filters: of the encoder's convolutions.
        kernel: their width.
        dim, heads, layers, feed: of the transformer; the paper does not say how many heads.
        head: hidden units between the last token and the 256 levels.
        token_dropout, head_dropout: probabilities.
    """

    sample_rate: int = 16_000
    window: int = 128_000
    patch: int = 2_000
    filters: tuple[int, ...] = (256, 256, 128, 128, 32)
    kernel: int = 7
    dim: int = 128
    heads: int = 8
    layers: int = 3
    feed: int = 256
    head: int = 1024
    token_dropout: float = 0.1
    head_dropout: float = 0.2

    def __post_init__(self) -> None:
        """Check all values.

        Raises:
            ConfigError: a value is invalid.
        """
        _check_numbers(self)
        if self.window % self.patch:
            raise ConfigError(f"window is {self.window}; it must be a multiple of the patch")
        if self.kernel % 2 == 0:
            raise ConfigError(f"kernel is {self.kernel}; it must be odd")
        if not 0 < len(self.filters) <= _MOST_LAYERS:
            raise ConfigError(f"filters are {len(self.filters)}; 1 to {_MOST_LAYERS} are possible")
        _check_attention(self.dim, self.heads, self.layers)


def _check_block(block: int, patch: int) -> None:
    """Raise ConfigError for a block that does not divide a patch."""
    if patch % block:
        raise ConfigError(f"a block is {block}; it must divide the patch {patch}")


def _check_attention(dim: int, heads: int, layers: int) -> None:
    """Raise ConfigError for a transformer that cannot be."""
    if dim % (2 * heads):
        raise ConfigError(f"dim is {dim}; it must be a multiple of twice the heads")
    if layers > _MOST_LAYERS:
        raise ConfigError(f"layers is {layers}; it must be {_MOST_LAYERS} at most")


def _check_numbers(config: Any) -> None:
    """Raise ConfigError for a number that is not of its type or out of its range."""
    for name, hint in get_type_hints(type(config)).items():
        value = getattr(config, name)
        if hint is float:
            if type(value) not in (int, float) or not 0 <= value < 1:
                raise ConfigError(f"{name} is {value!r}; it must be from 0 to less than 1")
            continue
        if hint is not int:
            # JSON has lists
            object.__setattr__(config, name, tuple(value) if isinstance(value, list) else value)
            value = getattr(config, name)
        numbers = (value,) if hint is int else value
        if not isinstance(numbers, tuple) or any(
            type(number) is not int or not 1 <= number <= _MOST for number in numbers
        ):
            raise ConfigError(f"{name} is {value!r}; it must be of whole numbers from 1")
    if config.sample_rate < 1000:
        raise ConfigError(f"sample_rate is {config.sample_rate}; it must be at least 1000")
