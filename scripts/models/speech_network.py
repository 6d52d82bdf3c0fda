"""The network from speech to landmarks: a convolutional encoder of the sound, and an encoder-decoder over frames."""

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from scripts.common.sound_features import FEATURES
from scripts.models.landmark_layout import COORDINATES
from scripts.models.log_mel import LogMel

LEVELS = 3
SLOPE = 0.2


class Block(nn.Module):
    """A convolution over time that keeps the length, or halves it with `stride` 2."""

    def __init__(self, inputs: int, outputs: int, *, kernel: int = 5, stride: int = 1) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(inputs, outputs, kernel, stride, padding=kernel // 2)
        self.norm = nn.GroupNorm(1, outputs)

    def forward(self, x: Any) -> Any:
        """(B, inputs, T) to (B, outputs, ceil(T / stride))."""
        return functional.leaky_relu(self.norm(self.convolution(x)), SLOPE)


class SpeechNetwork(nn.Module):
    """Sound (B, N) and the first frame (B, 136) to landmarks (B, frames, 136), all normalised."""

    def __init__(self, *, rate_hz: int, frames: int, width: int) -> None:
        super().__init__()
        self.frames = frames
        self.log_mel = LogMel(rate_hz)
        self.norm = nn.BatchNorm1d(FEATURES["bands"])
        self.sound = nn.Sequential(Block(FEATURES["bands"], width, stride=2), Block(width, width, stride=2))
        self.face = nn.Linear(COORDINATES, width)
        self.join = Block(2 * width + 1, width)
        self.down = nn.ModuleList(Block(width, width, stride=2) for _ in range(LEVELS))
        self.up = nn.ModuleList(Block(2 * width, width) for _ in range(LEVELS))
        self.out = nn.Conv1d(width, COORDINATES, 1)
        # How much of the first frame is still seen in each later one.
        self.carry = nn.Parameter(torch.full((frames, COORDINATES), 0.5))

    def forward(self, sound: Any, first: Any) -> Any:
        """Every frame of the window."""
        heard = self.sound(self.norm(self.log_mel(sound)))
        heard = functional.interpolate(heard, size=self.frames, mode="linear", align_corners=False)
        count = len(first)
        face = self.face(first)[:, :, None].expand(-1, -1, self.frames)
        time = torch.linspace(0, 1, self.frames, device=first.device).expand(count, 1, -1)
        x = self.join(torch.cat([heard, face, time], dim=1))
        seen = []
        for down in self.down:
            seen.append(x)
            x = down(x)
        for up in self.up:
            other = seen.pop()
            x = functional.interpolate(x, size=other.shape[-1], mode="linear", align_corners=False)
            x = up(torch.cat([x, other], dim=1))
        return self.out(x).transpose(1, 2) + first[:, None] * self.carry


class Discriminator(nn.Module):
    """Whether a motion is one of a real face: motion (B, T, 136) to a map of judgements (B, 1, T / 4)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            Block(COORDINATES, width, stride=2), Block(width, width, stride=2), nn.Conv1d(width, 1, 3, padding=1)
        )

    def forward(self, motion: Any) -> Any:
        """Higher is more real; one value a stretch of time."""
        return self.layers(motion.transpose(1, 2))


def motion_of(pose: Any) -> Any:
    """From each frame to the next: (B, T, 136) to (B, T - 1, 136)."""
    return pose[:, 1:] - pose[:, :-1]
