"""The supervisor process: HTTP API, job queue, downloads and installs, and supervision of the workers."""

from shared.version import VERSION

__version__ = VERSION
