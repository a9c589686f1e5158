"""The files that removals make: how each format's name ends, and its media type."""

ENDINGS = {"png": "png", "webp": "webp", "jpeg": "jpg", "zip": "zip"}
MEDIA_TYPES = {"png": "image/png", "webp": "image/webp", "jpeg": "image/jpeg", "zip": "application/zip"}


def file_name(stem: str, content: str, file_format: str) -> str:
    """Return the name of a result: the photo's without its ending, what it holds, and the format's ending."""
    return f"{stem}-{content}.{ENDINGS[file_format]}"
