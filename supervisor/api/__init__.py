"""The HTTP API: routes, compatible routes, middleware, uploads and error format."""
