"""The worker process: holds one model; decodes images, infers alpha mattes, encodes results."""
