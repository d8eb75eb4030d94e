"""The mask U-Net: from the bands of a mixture to a mask for every stem."""
