"""The Python environment: what the service needs of it, what it has, and how it gets the rest."""
