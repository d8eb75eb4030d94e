"""The paper preset's VQ-VAE: k convolution blocks of stride 2 and one codebook.

Sources: *van den Oord et al. 2017*, "Neural Discrete Representation Learning"; *the student paper*,
the work this project grew from. sg[.] is the stop-gradient operator.
"""

from dataclasses import dataclass
from math import ceil
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from audiomask.errors import ConfigError
from audiomask.networks.vqvae.output import VQVAEOutput
from audiomask.networks.vqvae.usage import perplexity
from audiomask.runtime import distributed

# Below this standard deviation of a latent's dimension (about -80 dBFS) a batch counts as silent.
_MIN_STD = 1e-4


@dataclass(frozen=True)
class PaperConfig:
    """Shape and loss of a :class:`PaperVQVAE`. Raises ConfigError for a value out of range."""

    blocks: int = 4  # k: a frame is 2^k samples
    channels: int = 64  # feature maps of every block
    codebook_size: int = 512  # K
    code_dim: int = 64  # D
    sample_rate: int = 44100  # of the mono audio, in Hz
    stft_size: int = 1024  # window of the spectral term, in samples; its hop is a quarter
    commitment: float = 0.25  # weight of the commitment term; the other three have weight 1

    def __post_init__(self) -> None:
        for name in ("blocks", "channels", "codebook_size", "code_dim", "sample_rate", "stft_size"):
            value = getattr(self, name)
            if type(value) is not int or not 1 <= value <= 1 << 20:
                raise ConfigError(f"{name} is {value!r}; it must be a whole number from 1")
        if self.blocks > 16:
            raise ConfigError(f"blocks is {self.blocks}; it must be 16 at most, a second a frame")
        if self.sample_rate < 1000:
            raise ConfigError(f"sample_rate is {self.sample_rate}; it must be at least 1000")
        if self.stft_size < 4 or self.stft_size % 4:
            raise ConfigError(f"stft_size is {self.stft_size}; it must be a multiple of 4")
        if not isinstance(self.commitment, int | float) or not 0 <= self.commitment <= 100:
            raise ConfigError(f"commitment is {self.commitment!r}; it must lie in 0 to 100")

    @property
    def hop_length(self) -> int:
        """Samples in a frame: 2^k."""
        return 1 << self.blocks

    @property
    def levels(self) -> int:
        """Codes in a frame: one, as there is one codebook."""
        return 1

    @property
    def context(self) -> int:
        """Frames a side of the larger receptive field, encoder's or decoder's.

        A window of a recording is computed exactly with so many frames added and then dropped.
        """
        return max(_encoder_context(self.blocks), _decoder_context(self.blocks))

    @property
    def reach(self) -> int:
        """Frames a side of the decoder's receptive field."""
        return _decoder_context(self.blocks)

    @property
    def margin(self) -> int:
        """Frames a side of a gap whose codes depend on it."""
        return _encoder_context(self.blocks)


def _encoder_context(blocks: int) -> int:
    """Frames a side of the encoder's receptive field, beyond a frame's own 2^k samples."""
    first, last = 0, 0  # the receptive field of frame 0, traced from the latent to the samples
    for _ in range(blocks):
        first, last = first - 1, last + 1  # residual unit: kernel 3
        first, last = 2 * first - 1, 2 * last + 2  # kernel 4, stride 2, padding 1
    hop = 1 << blocks
    return max(ceil(-first / hop), ceil((last - (hop - 1)) / hop))


def _decoder_context(blocks: int) -> int:
    """Frames a side of the decoder's receptive field, beyond a frame itself."""
    first, last = 0, (1 << blocks) - 1  # the samples of frame 0, traced back to the latents
    for _ in range(blocks):
        first, last = ceil((first - 2) / 2), (last + 1) // 2  # transposed: kernel 4, padding 1
        first, last = first - 1, last + 1  # residual unit: kernel 3
    return max(-first, last)


def reconstruction_loss(audio: Tensor, reconstruction: Tensor) -> Tensor:
    """Mean squared error, ``mean((x - x̂)²)``, over all elements of two ``Tensor [B, T]``.

    The term log p(x | z_q) of van den Oord et al. 2017, eq. 3, for a Gaussian of fixed variance, up
    to a constant and a factor.
    """
    return F.mse_loss(reconstruction, audio)


def codebook_loss(latents: Tensor, quantized: Tensor) -> Tensor:
    """``‖sg[h] - e‖²``: moves the chosen codes towards the latents, not the encoder.

    van den Oord et al. 2017, eq. 3, second term. The mean over all elements of two
    ``Tensor [..., D]``: the squared norm divided by D.
    """
    return F.mse_loss(quantized, latents.detach())


def commitment_loss(latents: Tensor, quantized: Tensor) -> Tensor:
    """``‖h - sg[e]‖²``: moves the encoder towards the chosen codes, not the codebook.

    van den Oord et al. 2017, eq. 3, third term, without its weight β (``PaperConfig.commitment``).
    The mean over all elements of two ``Tensor [..., D]``: the squared norm divided by D.
    """
    return F.mse_loss(latents, quantized.detach())


def spectral_loss(audio: Tensor, reconstruction: Tensor, stft_size: int) -> Tensor:
    """``‖ |STFT(x)| - |STFT(x̂)| ‖²``: distance of magnitude spectra, phases ignored.

    The student paper's addition to the loss. The mean over all elements (batch, bins, STFT frames)
    for two ``Tensor [B, T]``. The STFT is the plain one: periodic Hann window of ``stft_size``
    samples, hop a quarter of it, no scaling, centred frames, zeros beyond the ends.
    """
    return F.mse_loss(_magnitudes(reconstruction, stft_size), _magnitudes(audio, stft_size))


def _magnitudes(audio: Tensor, stft_size: int) -> Tensor:
    """Magnitude STFT ``Tensor [B, bins, STFT frames]`` of audio ``Tensor [B, T]``."""
    window = torch.hann_window(stft_size, dtype=audio.dtype, device=audio.device)
    # Zeros beyond the ends, not a reflection, so that audio shorter than half a window is fine.
    spectrum = torch.stft(
        audio, stft_size, stft_size // 4, window=window, pad_mode="constant", return_complex=True
    )
    return spectrum.abs()


def nearest_code(latents: Tensor, codebook: Tensor) -> Tensor:
    """Index ``Tensor [...]`` int64 of the code nearest by Euclidean distance to each latent.

    van den Oord et al. 2017, eq. 1. Latents ``Tensor [..., D]``, codebook ``Tensor [K, D]``.
    """
    # Without autocast: distances in half precision would choose other codes.
    with torch.no_grad(), torch.autocast(latents.device.type, enabled=False):
        # ‖h - e‖² = ‖h‖² - 2 h·e + ‖e‖², whose first term is the same for every code. With the
        # origin at the codes' mean, rounding errors are smallest.
        origin = codebook.mean(dim=0)
        codes = codebook - origin
        points = (latents - origin).reshape(-1, codes.shape[1])
        distances = torch.addmm(codes.square().sum(dim=1), points, codes.T, alpha=-2)
        return distances.argmin(dim=1).reshape(latents.shape[:-1])


def straight_through(latents: Tensor, quantized: Tensor) -> Tensor:
    """``h + sg[e - h]``: the value of ``quantized``, whose gradient goes to ``latents``."""
    return latents + (quantized - latents).detach()


class _ResidualUnit(nn.Module):
    """``x + f(x)`` with f a convolution of kernel 3, ReLU, and one of kernel 1."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            nn.Conv1d(channels, channels, 3, padding=1), nn.ReLU(), nn.Conv1d(channels, channels, 1)
        )

    def forward(self, features: Tensor) -> Tensor:
        """Features ``Tensor [B, C, n]`` to the same shape."""
        return features + cast(Tensor, self.branch(features))


def _encoder(config: PaperConfig) -> nn.Sequential:
    """``Tensor [B, 1, T]`` to ``Tensor [B, D, T / 2^k]``."""
    layers: list[nn.Module] = []
    for block in range(config.blocks):
        inputs = 1 if block == 0 else config.channels
        convolution = nn.Conv1d(inputs, config.channels, 4, stride=2, padding=1)
        layers += [convolution, nn.ReLU(), _ResidualUnit(config.channels)]
    encoder = nn.Sequential(*layers, nn.Conv1d(config.channels, config.code_dim, 1))
    # PyTorch's default initialization shrinks the signal at every layer; the latents would vary
    # less than one optimizer step moves them, and all would get one code.
    for layer in encoder.modules():
        if isinstance(layer, nn.Conv1d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(cast(Tensor, layer.bias))
    return encoder


def _decoder(config: PaperConfig) -> nn.Sequential:
    """``Tensor [B, D, frames]`` to ``Tensor [B, 1, frames * 2^k]``: the encoder reversed."""
    layers: list[nn.Module] = [nn.Conv1d(config.code_dim, config.channels, 1)]
    for block in reversed(range(config.blocks)):
        outputs = 1 if block == 0 else config.channels
        convolution = nn.ConvTranspose1d(config.channels, outputs, 4, stride=2, padding=1)
        layers += [_ResidualUnit(config.channels), nn.ReLU(), convolution]
    return nn.Sequential(*layers)


class PaperVQVAE(nn.Module):
    """The paper's VQ-VAE on mono audio: T samples to S = T / 2^k codes and back.

    The codebook is learned by gradient alone (no moving averages, no re-seeding of dead codes).
    The first training pass on audio that is not silent initializes it: the encoder's last layer is
    scaled until each of the D dimensions of the latents has mean 0 and variance 1, and the codebook
    becomes K of these latents drawn at random. ``initialised`` in the state dict records that.
    """

    initialised: Tensor

    def __init__(self, config: PaperConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = _encoder(config)
        self.decoder = _decoder(config)
        codes = torch.empty(config.codebook_size, config.code_dim)
        self.codebook = nn.Parameter(codes.uniform_(-1, 1) / config.codebook_size)
        self.register_buffer("initialised", torch.zeros((), dtype=torch.bool))

    def encode(self, audio: Tensor, levels: int | None = None) -> Tensor:
        """Audio ``Tensor [B, T]`` to codes ``Tensor [B, 1, T / 2^k]`` int64.

        There is one level, whatever ``levels`` asks for.

        Raises ValueError for another shape, or a T that is not a positive multiple of 2^k.
        """
        with torch.no_grad():
            return nearest_code(self._latents(audio), self.codebook).unsqueeze(1)

    def decode(
        self, codes: Tensor, start: int = 0, stop: int | None = None, share_phases: bool = False
    ) -> Tensor:
        """Codes ``Tensor [B, 1, frames]`` to audio ``Tensor [B, (stop - start) * 2^k]``.

        Args:
            codes: of the whole recording, of any integer type.
            start, stop: frames to decode, as part of the whole recording; all by default.
            share_phases: ignored: these codes hold the phases of each channel.

        Raises ValueError for another shape, no frames, or a code that is not in the codebook.
        """
        if codes.ndim != 3 or codes.shape[1] != 1 or codes.numel() == 0:
            raise ValueError(f"codes have shape {list(codes.shape)}; [B, 1, frames] is needed")
        stop = codes.shape[-1] if stop is None else stop
        low, context = max(start - self.config.context, 0), self.config.context
        codes = codes[:, 0, low : stop + context].long().to(self.codebook.device)
        if codes.min() < 0 or codes.max() >= self.config.codebook_size:
            raise ValueError(f"codes must lie in 0 to {self.config.codebook_size - 1}")
        audio = self._synthesize(F.embedding(codes, self.codebook))
        hop = self.config.hop_length
        return audio[:, (start - low) * hop : (stop - low) * hop]

    def vectors(self, codes: Tensor) -> Tensor:
        """Codes ``Tensor [B, 1, frames]`` to their vectors ``Tensor [B, frames, D]``."""
        return F.embedding(codes[:, 0].long(), self.codebook)

    def inpaint(
        self, vectors: Tensor, known: Tensor, weight: Tensor, first: int, last: int
    ) -> Tensor:
        """Decode vectors ``Tensor [C, frames, D]`` to ``Tensor [C, frames * 2^k]``.

        The known audio is ignored: these codes hold the phases.
        """
        return self._synthesize(vectors)

    def codebooks(self) -> Tensor:
        """The code vectors ``Tensor [1, K, D]``, without gradient."""
        return self.codebook.detach().unsqueeze(0)

    def forward(self, audio: Tensor) -> VQVAEOutput:
        """Encode, quantize and decode audio ``Tensor [B, T]``, and compute the loss."""
        if self.training and not self.initialised:
            self._initialize(audio)
        latents = self._latents(audio)
        codes = nearest_code(latents, self.codebook)
        quantized = F.embedding(codes, self.codebook)
        reconstruction = self._synthesize(straight_through(latents, quantized))
        losses = {
            "reconstruction": reconstruction_loss(audio, reconstruction),
            "codebook": codebook_loss(latents, quantized),
            "commitment": commitment_loss(latents, quantized),
            "spectral": spectral_loss(audio, reconstruction, self.config.stft_size),
        }
        weighted = losses | {"commitment": self.config.commitment * losses["commitment"]}
        return VQVAEOutput(
            codes=codes.unsqueeze(1),
            losses=losses,
            loss=torch.stack(list(weighted.values())).sum(),
            perplexity=perplexity(codes.unsqueeze(1), self.config.codebook_size),
        )

    def _latents(self, audio: Tensor) -> Tensor:
        """Encoder output h, ``Tensor [B, frames, D]``, of audio ``Tensor [B, T]``."""
        hop = self.config.hop_length
        if audio.ndim != 2 or audio.shape[1] == 0 or audio.shape[1] % hop:
            wanted = f"[B, T] with T a positive multiple of {hop}"
            raise ValueError(f"audio has shape {list(audio.shape)}; {wanted} is needed")
        latents: Tensor = self.encoder(audio.unsqueeze(1))
        return latents.transpose(1, 2).to(audio.dtype)  # autocast may have made them half precision

    def _synthesize(self, quantized: Tensor) -> Tensor:
        """Audio ``Tensor [B, frames * 2^k]`` of code vectors ``Tensor [B, frames, D]``."""
        audio: Tensor = self.decoder(quantized.transpose(1, 2))
        return audio.squeeze(1).to(quantized.dtype)

    @torch.no_grad()
    def _initialize(self, audio: Tensor) -> None:
        """Normalize the latents and draw the codebook from them, unless ``audio`` is silent."""
        # Autocast would keep a half-precision copy of the weights that change below.
        with torch.autocast(audio.device.type, enabled=False):
            latents = distributed.all_gather(self._latents(audio).flatten(0, 1))
        mean, spread = latents.mean(dim=0), latents.std(dim=0, unbiased=False)
        projection = cast(nn.Conv1d, self.encoder[-1])
        weight, bias = projection.weight, cast(Tensor, projection.bias)
        if spread.min() > _MIN_STD:
            weight.div_(spread.reshape(-1, 1, 1))
            bias.sub_(mean).div_(spread)
            latents = (latents - mean) / spread
            count, size = len(latents), len(self.codebook)
            drawn = torch.randperm(max(count, size), device=latents.device)[:size] % count
            # Silent passages give equal latents, and of equal codes only one would ever be used.
            self.codebook.copy_(latents[drawn] + 0.01 * torch.randn_like(self.codebook))
            self.initialised.fill_(True)
