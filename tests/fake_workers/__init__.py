"""Ten-line workers that behave, or misbehave, on demand. Chosen by `BGREMOVE_BUILTIN_WORKER`."""
