"""Platform: what differs between operating systems."""
