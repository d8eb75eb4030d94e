"""Evaluation: what a checkpoint is worth, measured on data that it was not trained on."""
