"""What both processes agree on: messages, options, errors. Standard library only."""
