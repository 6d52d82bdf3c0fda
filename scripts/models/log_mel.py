"""Log-mel of a window's sound: magnitudes of a short-time Fourier transform in 64 bands of HTK's mel scale."""

from typing import Any

import numpy as np
import torch
from torch import nn

from scripts.common.sound_features import FEATURES, mel_bands


class LogMel(nn.Module):
    """float32 (B, N) sound to float32 (B, 64, floor((N - 400) / 160) + 1): 254 frames for 40,960 samples."""

    def __init__(self, rate_hz: int) -> None:
        super().__init__()
        bands = mel_bands(rate_hz, **{name: FEATURES[name] for name in ("fft", "bands", "low_hz", "high_hz")})
        self.register_buffer("bands", torch.from_numpy(bands.astype(np.float32)), persistent=False)
        self.register_buffer("window", torch.hann_window(FEATURES["window"], periodic=True), persistent=False)

    def forward(self, sound: Any) -> Any:
        """Frames are cut first, and nothing is padded or centred."""
        frames = sound.unfold(-1, FEATURES["window"], FEATURES["hop"]) * self.window
        magnitudes = torch.fft.rfft(frames, FEATURES["fft"]).abs()
        return torch.log(magnitudes @ self.bands + FEATURES["offset"]).transpose(1, 2)
