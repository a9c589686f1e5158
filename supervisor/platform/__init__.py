"""Platform-specific code: event loop on Windows, file limits, private folders, process memory."""
