"""One router per resource: parse, call, shape."""
