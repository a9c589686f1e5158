"""Python environment: inventory of packages, import probe, diagnostics, and installation with pip."""
