"""What the machine gives: device, memory, processes, signals, optional packages."""
