"""Core counts, strips of rows, and resizing by strips."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from shared import cores
from worker.imaging import parallel
from worker.imaging.geometry import Box
from worker.imaging.parallel import (
    STRIP_ROWS,
    STRIPS_PER_CORE,
    available_cores,
    for_each_strip,
    limit_cores,
    resize,
)

BICUBIC, BILINEAR, LANCZOS = Image.Resampling.BICUBIC, Image.Resampling.BILINEAR, Image.Resampling.LANCZOS
# Pillow rounds between its two passes, in an order that depends on the size. It clips there too: so the noise
# has no extreme values.
ROUNDING = 2
NOISE = Image.fromarray(np.random.default_rng(0).integers(80, 176, (307, 211, 3), np.uint8))


@pytest.mark.parametrize(
    ("quota", "available"),
    [
        ("max 100000", 8),
        ("400000 100000", 4),
        ("150000 100000", 1),
        ("50000 100000", 1),
        ("3200000 100000", 8),
        ("nonsense", 8),
        (None, 8),
    ],
)
def test_the_core_count_respects_the_containers_cgroup_quota(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quota: str | None, available: int
) -> None:
    """With a thread per core of the machine, the quota throttles the container."""
    cpu_max = tmp_path / "cpu.max"
    if quota is not None:
        cpu_max.write_text(f"{quota}\n")
    monkeypatch.setattr(cores, "CGROUP_CPU_MAX", cpu_max)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert parallel.available_cores() == available


@pytest.mark.parametrize(("limit", "available"), [(None, 8), (3, 3), (20, 8), (0, 1)])
def test_a_limit_of_the_cores_is_an_upper_bound(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, limit: int | None, available: int
) -> None:
    """Workers on one CPU get a share of its cores each."""
    monkeypatch.setattr(cores, "CGROUP_CPU_MAX", tmp_path / "absent")
    monkeypatch.setattr(parallel, "_core_limit", None)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    limit_cores(limit)
    assert available_cores() == available


@pytest.mark.parametrize("size", [(64, 3 * STRIP_ROWS + 1), (640, 1000), (1, 1), (211, 307), (3000, 7)])
@pytest.mark.parametrize("resample", [BICUBIC, BILINEAR, LANCZOS])
@pytest.mark.parametrize("box", [None, Box(20, 31, 150, 200)])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_no_seam_is_left_between_strips(
    size: tuple[int, int], resample: Image.Resampling, box: Box | None, mode: str
) -> None:
    """A seam would be a line across every mask, or in the network's input."""
    image = NOISE.convert(mode)
    ours = resize(image, size, resample, box and box.corners)
    theirs = np.asarray(image.resize(size, resample, box and box.corners))
    assert ours.shape == theirs.shape
    assert np.abs(ours.astype(int) - theirs).max() <= ROUNDING


def test_reducing_gap_hardly_changes_the_result() -> None:
    """The faster resize must not change the network's input visibly."""
    image = NOISE.resize((3000, 4000), BICUBIC)
    ours = resize(image, (320, 320), LANCZOS, reducing_gap=3.0).astype(int)
    assert np.abs(ours - np.asarray(image.resize((320, 320), LANCZOS))).mean() < 1


@pytest.mark.parametrize("height", range(1, 4000, 37))
def test_strips_cover_any_height(height: int) -> None:
    """Rounding must not extend the last strip beyond the image."""
    assert resize(Image.new("L", (2, 1023)), (2, height), BICUBIC).shape == (height, 2)


def test_a_tall_narrow_image_has_a_bounded_number_of_strips() -> None:
    """A tiny file can hold an image one pixel wide and as high as the limit allows."""
    strips: list[tuple[int, int]] = []
    for_each_strip(50_000_000, lambda first, last: strips.append((first, last)))
    assert len(strips) <= STRIPS_PER_CORE * available_cores()
    assert sum(last - first for first, last in strips) == 50_000_000
