"""Model download from the hub, in a process of its own."""
