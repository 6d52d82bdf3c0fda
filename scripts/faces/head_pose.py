"""Where a head is turned, by its landmarks."""

import cv2
import numpy as np

# A head in millimetres by its iBUG points, right, down and away from the camera: tip of the nose, outer and inner
# corners of the eyes, wings of the nose. Rough distances of an adult's face: a person's own differ, and with them the
# pitch by some degrees; changes over time hold.
HEAD_POINTS = (30, 36, 39, 42, 45, 31, 35)
HEAD_MM = np.array(
    [[0, 0, 0], [-45, -38, 32], [-17, -36, 24], [17, -36, 24], [45, -38, 32], [-15, 10, 16], [15, 10, 16]], np.float64
)


def head_pose(points: np.ndarray, width: int, height: int) -> np.ndarray:
    """Yaw, pitch and roll of heads in degrees, float64 (N, 3): positive is to the picture's right, down, clockwise.

    points: float (N, 68, 2) px of a picture of `width` x `height`.  The camera is taken to see as far as the picture's
    longer side is wide (53 degrees); rotation by cv2.solvePnP, iterative. NaN where it finds none.
    """
    focal = float(max(width, height))
    camera = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])
    found = np.full((len(points), 3), np.nan)
    for number, face in enumerate(np.ascontiguousarray(points[:, list(HEAD_POINTS)], np.float64)):
        if not np.isfinite(face).all():
            continue
        good, turn, _ = cv2.solvePnP(HEAD_MM, face, camera, None, flags=cv2.SOLVEPNP_SQPNP)
        if good:
            matrix = cv2.Rodrigues(turn)[0]
            # The nose points at the camera, along -z.
            nose = -matrix[:, 2]
            yaw, pitch = np.arctan2(nose[0], -nose[2]), np.arcsin(np.clip(nose[1], -1, 1))
            across = matrix[:, 0]
            found[number] = np.degrees([yaw, pitch, np.arctan2(across[1], across[0])])
    return found
