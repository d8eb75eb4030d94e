"""The machine: device, memory, processes, signals, console, optional packages."""
