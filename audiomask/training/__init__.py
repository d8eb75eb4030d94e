"""Training: one loop for every model, what a step of each is, and the data."""
