"""Music: songs as notes, made up from a seed or read from MIDI files."""
