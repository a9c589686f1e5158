"""The light process: HTTP, server-sent events, tasks, files, and the life of the workers."""

__version__ = "0.1.0"
