"""Which images the command line takes for processed already, by the times of the files."""

import os
from pathlib import Path

import pytest

from cli.inputs import Source
from cli.outputs import Job


@pytest.mark.parametrize(
    ("image_s", "result_s", "up_to_date"), [(100, 100, True), (100, 101, True), (101, 100, False)]
)
def test_a_result_is_up_to_date_unless_the_image_is_newer(
    tmp_path: Path, image_s: int, result_s: int, *, up_to_date: bool
) -> None:
    """Equal times are common: FAT counts in two seconds, and an archive restores all files with one time."""
    image, result = tmp_path / "photo.jpg", tmp_path / "photo-cutout.png"
    for path, time_s in ((image, image_s), (result, result_s)):
        path.touch()
        os.utime(path, (time_s, time_s))
    assert Job(Source(str(image)), result).up_to_date == up_to_date


def test_without_a_result_or_an_image_nothing_is_up_to_date(tmp_path: Path) -> None:
    """Standard output holds no earlier result, and standard input is another image every time."""
    result = tmp_path / "photo-cutout.png"
    photo = Source(str(tmp_path / "photo.jpg"))
    photo.path.touch()
    assert not Job(photo, result).up_to_date
    assert not Job(photo, None).up_to_date
    result.touch()
    assert not Job(Source("-", kind="stdin"), result).up_to_date
    assert Job(Source("https://example.org/photo.jpg", kind="url"), result).up_to_date
    photo.path.unlink()
    assert not Job(photo, result).up_to_date
