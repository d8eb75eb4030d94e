"""Pages to listen to: one HTML file with players, pictures and, where it is small, the audio."""
