"""Outgoing requests with protection against SSRF, and the normalisation of origins and host names."""
