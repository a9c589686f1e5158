"""Subcommands of the command line and the modules that they share."""
