#!/usr/bin/env bash
# Of silero-vad only the network's file is used, without torch, which the package asks for: so without its
# dependencies.
set -euo pipefail
python -m pip install --no-deps silero-vad==6.2.3
