"""Audio in files, pipes and memory, and its spectra. Independent of models."""
