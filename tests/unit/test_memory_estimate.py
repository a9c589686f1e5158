"""The header that the memory estimate reads, for each format."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from shared.messages import RemovalJob
from shared.options import RemovalOptions
from tests.photos import encoded
from worker.imaging.memory_estimate import Header, estimate_removal_bytes, read_header


@pytest.mark.parametrize(
    ("kind", "mode", "options", "has_alpha"),
    [
        ("WEBP", "RGB", {}, False),
        ("WEBP", "RGBA", {}, True),
        ("WEBP", "RGB", {"lossless": True}, False),
        ("WEBP", "RGBA", {"lossless": True}, True),
        ("WEBP", "RGB", {"icc_profile": b"profile"}, False),
        ("AVIF", "RGBA", {}, True),
        ("PNG", "LA", {}, True),
        ("PNG", "P", {"transparency": 0}, True),
        ("TIFF", "CMYK", {}, False),
    ],
)
def test_the_header_is_read_without_decoding(
    tmp_path: Path, kind: str, mode: str, options: dict[str, Any], *, has_alpha: bool
) -> None:
    """WebP's is parsed here, since Pillow would allocate the canvas."""
    image = Image.new(mode, (70, 30))
    if mode in ("RGBA", "LA"):
        image.putalpha(Image.linear_gradient("L").resize(image.size))
    (tmp_path / "image").write_bytes(encoded(image, kind, **options))
    assert read_header(tmp_path / "image") == Header(kind, mode, (70, 30), has_alpha)


def test_a_truncated_header_is_unknown(tmp_path: Path) -> None:
    """Decoding reports it."""
    for length in (16, 20, 22, 24, 29):
        (tmp_path / "image").write_bytes(encoded(Image.new("RGB", (70, 30)), "WEBP")[:length])
        header = read_header(tmp_path / "image")
        assert header is None or header.pixels <= 70 * 30


@pytest.mark.parametrize(("output", "counts"), [("cutout", True), ("both", True), ("mask", False)])
def test_a_background_counts_in_addition_to_the_image(tmp_path: Path, output: Any, *, counts: bool) -> None:
    """Both are in memory while the image is processed; a mask has no background."""
    for name, size in (("image", (3000, 2000)), ("background", (1500, 1000))):
        (tmp_path / name).write_bytes(encoded(Image.new("RGB", size), "JPEG"))
    options = RemovalOptions(output=output, format="jpeg", background="white")
    job = RemovalJob("a", str(tmp_path / "image"), "", options)
    alone_bytes = estimate_removal_bytes(job, 10**7)
    both_bytes = estimate_removal_bytes(replace(job, background_path=str(tmp_path / "background")), 10**7)
    assert (both_bytes - alone_bytes >= 1_500_000 * 12) == counts
    assert counts or both_bytes == alone_bytes
