"""Log-mel of a window's sound: magnitudes of a short-time Fourier transform in 64 bands of HTK's mel scale."""

from typing import Any

import numpy as np
import torch
from torch import nn

# The features that a checkpoint was trained on; another value of any of them is another feature.
FEATURES: dict[str, Any] = {
    "name": "log_mel",
    "window": 400,
    "hop": 160,
    "fft": 512,
    "bands": 64,
    "low_hz": 125.0,
    "high_hz": 7500.0,
    "offset": 1e-6,
}


def mel_bands(rate_hz: int, *, fft: int, bands: int, low_hz: float, high_hz: float) -> np.ndarray:
    """Triangles on HTK's scale, mel = 1127 ln(1 + f / 700), linear in mel. Returns float64 (fft // 2 + 1, bands)."""

    def mel(hz: np.ndarray) -> np.ndarray:
        return 1127.0 * np.log1p(hz / 700.0)

    bins = mel(np.linspace(0, rate_hz / 2, fft // 2 + 1))[:, None]
    lowest, highest = mel(np.array([low_hz, high_hz])).tolist()
    edges = np.linspace(lowest, highest, bands + 2)
    lower, centre, upper = edges[:-2], edges[1:-1], edges[2:]
    triangles = np.maximum(0.0, np.minimum((bins - lower) / (centre - lower), (upper - bins) / (upper - centre)))
    # The constant part of a sound says nothing.
    triangles[0] = 0.0
    return np.asarray(triangles)


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
