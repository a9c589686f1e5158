"""Container formats: walks a file's chunks, segments or boxes before Pillow opens it, and bounds its work."""
