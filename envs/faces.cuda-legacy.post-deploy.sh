set -euo pipefail
# face-alignment asks for opencv-python, which would be a second cv2 beside the headless one: so without its
# dependencies, which the env lists itself.
python -m pip install --no-deps face-alignment==1.5.0
