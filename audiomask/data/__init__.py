"""Training data: layouts on disk, and the excerpts that are drawn from them.

Imports nothing, so that the command line may ask for a part that needs no torch.
"""

#: samples a second, where no model says otherwise
DEFAULT_SAMPLE_RATE = 44100
