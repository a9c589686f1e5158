"""Models: their files on disk, their downloads, and their lifecycle in memory."""
