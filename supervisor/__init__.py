"""The supervisor process: HTTP API, job queue, downloads and installs, and supervision of the workers."""

__version__ = "0.1.0"
