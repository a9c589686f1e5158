"""A job is data: it goes to JSON and back."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.options import RemovalOptions
from supervisor.jobs.job import SOURCE, Job, RemoteImage, StoredImage
from supervisor.jobs.records import FORMAT, UnknownFormat, read_accepted, write_accepted

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
IMAGES = st.builds(StoredImage, TEXT) | st.builds(RemoteImage, TEXT, TEXT)
OPTIONS = st.builds(
    RemovalOptions,
    background=st.none() | TEXT,
    max_size=st.none() | st.integers(16, 65_535),
    quality=st.integers(1, 100),
    margin=TEXT,
)
JOBS = st.builds(
    Job,
    id=TEXT,
    options=OPTIONS,
    image=IMAGES,
    background=st.none() | IMAGES,
    file_name=TEXT,
    client=TEXT,
    submitted_at=st.datetimes(timezones=st.just(UTC)),
    attempt=st.integers(0, 9),
    exclusive=st.booleans(),
)
JOB = Job(
    id="bgremove_1",
    options=RemovalOptions(),
    image=StoredImage(SOURCE),
    background=None,
    file_name="photo.png",
    client="one",
    submitted_at=datetime(2026, 1, 2, 3, 4, 5, 6, UTC),
)


@given(JOBS)
def test_any_job_comes_back_from_its_record_as_it_was(job: Job) -> None:
    """One that is read after a restart must be the one that was accepted."""
    with TemporaryDirectory() as folder:
        write_accepted(Path(folder), job, 7)
        assert read_accepted(Path(folder)) == {"format": FORMAT, "number": 7, "job": job}


@pytest.mark.parametrize(
    "text", ["{", "[]", "null", "{}", '{"format": 1}', '{"format": 1, "number": 1, "job": {}}']
)
def test_what_is_no_job_is_an_error(tmp_path: Path, text: str) -> None:
    """A file of another version must not become a job with defaults."""
    (tmp_path / "job.json").write_text(text)
    with pytest.raises(UnknownFormat):
        read_accepted(tmp_path)


def test_a_job_with_any_remote_image_has_to_be_fetched() -> None:
    """A worker would be given a job whose image is not on the disk."""
    remote = RemoteImage("http://example.com/a.png", "url")
    assert not JOB.has_remote_images
    assert replace(JOB, image=remote).has_remote_images
    assert replace(JOB, background=remote).has_remote_images
