"""What the processes share: messages, options, errors; and what children run. Standard library only."""
