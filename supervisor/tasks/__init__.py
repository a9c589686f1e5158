"""Tasks: the long actions that clients can follow, whatever they do."""
