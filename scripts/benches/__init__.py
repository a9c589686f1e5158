"""The benches, one module each: every one has add_to(subparsers) and measures what its subcommand names."""


class BenchFailed(Exception):
    """Nothing can be measured; the message is one line for a person."""
