"""Outgoing network access: fetching images by URL with protection against SSRF."""
