"""Scripts that call remove.bg with its clients; each reads an order, in JSON, from stdin."""
