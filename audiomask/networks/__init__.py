"""Networks, one folder a kind of model. They know tensors, not files or recordings."""
