"""Routes of the service's own API, a module per resource."""
