"""Training: one loop for every kind of model, the task of each kind, and run files."""
