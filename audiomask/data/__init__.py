"""Training data: layouts on disk, and excerpts drawn from them.

This file imports nothing, so that the command line can import modules that need no torch.
"""

#: samples a second, unless a model has another rate
DEFAULT_SAMPLE_RATE = 44100
