"""The command line's subcommands, and what they share."""
