"""Evaluation of checkpoints on data that they were not trained on."""
