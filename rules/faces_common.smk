"""
faces_common: where the tables of faces are, and what a dataset asks of them. No rules.
"""

from scripts.planning.planning_cost import quick

faces_room = plan.rooms["faces"]


def speech_of(wildcards):
    """The speech of a dataset's recording, where its windows are asked for it."""
    wanted = faces_room.wants_speech(wildcards.dataset)
    return of_recording(faces_room.speech())(wildcards) if wanted else []


def sync_of(wildcards):
    """The scores of lips against sound of a dataset's recording, where a model gives any."""
    wanted = plan.config["faces"]["sync"]["model"]
    return of_recording(faces_room.sync())(wildcards) if wanted else []
