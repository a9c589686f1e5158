"""ASGI middleware: host, origin and token checks, body limits."""
