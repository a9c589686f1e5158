"""Download of models from the hub, in a process of its own."""
