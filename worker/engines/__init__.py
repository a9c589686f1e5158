"""One file per loader: each turns a photo into its alpha."""
