"""Training tasks, one for each kind of model: its batches and its loss."""
