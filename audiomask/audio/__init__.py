"""Sound in files, pipes and memory, and its spectra. Knows nothing of models."""
