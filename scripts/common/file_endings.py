"""What a file is taken for before it is read: by its ending, and by how large a sound may be."""

# What ROS2's recorder adds where it compresses whole files, and ROS1's while it records.
ZSTD, ACTIVE = ".zstd", ".active"
# Those whose recorder makes a folder.
ROS2_BAGS = (".mcap", ".db3", f".mcap{ZSTD}", f".db3{ZSTD}")
BAGS = (".bag", f".bag{ACTIVE}", *ROS2_BAGS)
CALIBRATIONS = (".toml", ".yml", ".yaml", ".xml", ".txt")
# What the reader of sounds, libsndfile, reads.
SOUNDS = (
    *(".wav", ".wave", ".bwf", ".rf64", ".w64", ".flac", ".mp3", ".mp2", ".mpga", ".ogg", ".oga", ".opus"),
    *(".aif", ".aiff", ".aifc", ".au", ".snd", ".caf", ".sph"),
)
# Sounds, and videos with sound, that it does not read: they are said, not passed over.
OTHER_SOUNDS = (
    *(".m4a", ".m4b", ".mp4", ".m4v", ".mov", ".3gp", ".aac", ".ac3", ".wma", ".wmv", ".asf", ".amr", ".ape", ".wv"),
    *(".mka", ".mkv", ".webm", ".weba", ".avi", ".mpg", ".mpeg"),
)
TEXT = ".txt"
# What a zip's sound may unpack to; larger files are only in folders.
LARGEST_MB = 2**11
