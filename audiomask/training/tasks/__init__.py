"""Training tasks, one a kind of model: the loss of a batch, and how a checkpoint is saved."""
