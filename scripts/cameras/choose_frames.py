"""Which of many common frames a calibration is made of: every camera, and every pair of them, has its share."""

from itertools import combinations

import numpy as np


def choose_frames(frame: np.ndarray, camera: np.ndarray, most: int) -> np.ndarray:
    """At most `most` of the frames, sorted: evenly over time, and rather those that many cameras see, and much of.

    frame, camera: int64 (N,), of each corner that was found. Pairs of cameras come first, those that see the board
    together least before the others, for the places of cameras hang on them; then single cameras, for their lenses;
    what is left goes to the richest frames.
    """
    frames, place = np.unique(frame, return_inverse=True)
    if len(frames) <= most:
        return frames
    sees = np.zeros((len(frames), int(camera.max()) + 1), bool)
    sees[place, camera] = True
    corners = np.bincount(place)
    worth = sees.sum(axis=1) * (corners.max() + 1) + corners
    chosen = np.zeros(len(frames), bool)
    pairs = [sees[:, first] & sees[:, second] for first, second in combinations(range(sees.shape[1]), 2)]
    for shown in (pairs, list(sees.T), [np.ones(len(frames), bool)]):
        groups = sorted((np.flatnonzero(group) for group in shown if group.any()), key=len)
        for members in groups:
            share = max(1, most // len(groups))
            lacking = min(share - chosen[members].sum(), most - chosen.sum())
            chosen[_spread(members[~chosen[members]], worth, lacking)] = True
    return np.asarray(frames[chosen])


def _spread(frames: np.ndarray, worth: np.ndarray, count: int) -> np.ndarray:
    """Of each of `count` stretches of time the frame that is worth most."""
    if count <= 0 or len(frames) <= count:
        return frames if count > 0 else frames[:0]
    stretches = np.array_split(frames, count)
    return np.array([stretch[int(np.argmax(worth[stretch]))] for stretch in stretches])
