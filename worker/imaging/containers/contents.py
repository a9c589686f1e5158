"""What a walk over a container found: the parts to decode, and what the decoder cannot know."""

from dataclasses import dataclass

from worker.imaging.containers.file_view import Part

FIRST_FRAME_ONLY = "The image is animated: only its first frame was used."


@dataclass(frozen=True, slots=True)
class Contents:
    """Parts of a file that a decoder needs; its ICC profile, if the walk read it; warnings for the client.

    `is_ended` is false if the file's end is missing: pixels may be, too.
    """

    parts: list[Part]
    icc_profile: bytes | None = None
    warnings: tuple[str, ...] = ()
    is_ended: bool = True
