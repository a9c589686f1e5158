"""Tasks: the long-running actions that clients can follow."""
