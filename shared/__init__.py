"""Code that the processes share: messages, options, errors, child bootstrap. Standard library only."""
