#!/usr/bin/env bash
# face-alignment asks for opencv-python, which would be a second cv2 beside the headless one: so without its
# dependencies, which the env lists itself.
set -euo pipefail
python -m pip install --no-deps face-alignment==1.5.0
