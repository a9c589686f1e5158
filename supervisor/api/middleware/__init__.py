"""ASGI middleware: host, origin and token checks, body limits, requests at the shutdown."""
