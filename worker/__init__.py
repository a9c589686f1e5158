"""The heavy process: holds one model; decodes, infers, encodes."""
