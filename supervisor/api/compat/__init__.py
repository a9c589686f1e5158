"""Routes compatible with rembg's server and remove.bg's API."""
