"""Where a sound may come from; both the plan and the location ask."""

# Room around the microphones, in metres, where the config names no volume.
MARGIN_M = 0.5


def volume_corners(positions_m: list[list[float]], volume_m: list[list[float]]) -> list[list[float]]:
    """Lower and upper corner of where sources may be: as given, or around the microphones."""
    axes = list(zip(*positions_m, strict=True))
    return volume_m or [[min(axis) - MARGIN_M for axis in axes], [max(axis) + MARGIN_M for axis in axes]]
