"""Log-mel of a window's sound: magnitudes of a short-time Fourier transform in 64 bands of HTK's mel scale."""

from typing import Any

import numpy as np
import torch
from torch import nn

from scripts.common.sound_features import features_at, mel_bands, row_starts


class LogMel(nn.Module):
    """float32 (B, N) sound to float32 (B, 64, T), T 254 for 2.56 s, as `scripts.common.sound_features` has it."""

    def __init__(self, rate_hz: int) -> None:
        super().__init__()
        self._rate_hz, self._features = rate_hz, features_at(rate_hz)
        self.register_buffer("bands", torch.from_numpy(mel_bands(rate_hz).astype(np.float32)), persistent=False)
        window = torch.hann_window(self._features["window"], periodic=True)
        self.register_buffer("window", window, persistent=False)

    def forward(self, sound: Any) -> Any:
        """Rows are cut first, and nothing is padded or centred."""
        starts = torch.from_numpy(row_starts(sound.shape[-1], self._rate_hz)).to(sound.device)
        inside = torch.arange(self._features["window"], device=sound.device)
        rows = sound[..., starts[:, None] + inside] * self.window
        magnitudes = torch.fft.rfft(rows, self._features["fft"]).abs()
        return torch.log(magnitudes @ self.bands + self._features["offset"]).transpose(1, 2)
