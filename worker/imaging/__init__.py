"""Imaging: decode, colour, geometry, matting, compositing and encoding."""
