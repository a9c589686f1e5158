"""`bench.py model` and `plot` end to end, with a small input."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_bench_measures_a_small_network_and_draws_it(tmp_path: Path) -> None:
    """Times, memory and components are consistent, and the report can be drawn."""
    bench = [sys.executable, str(ROOT / "scripts/bench.py")]
    environment = {**os.environ, "BGREMOVE_NO_BOOTSTRAP": "1"}
    report, picture = tmp_path / "report.json", tmp_path / "picture.svg"
    asked = ["--backbone", "swin_v1_t", "--dtype", "float32", "--size", "96", "--repeats", "1"]
    command = [*bench, "model", *asked, "--weights", str(tmp_path / "weights"), "--json", str(report)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "x the floor" in done.stdout
    (case,) = json.loads(report.read_text())["model"]["cases"]
    components = case["median_components_s"]
    assert [name for name in components if name.startswith("stage")] == [f"stage {n}" for n in range(4)]
    assert all(seconds > 0 for seconds in components.values())
    assert 0.5 * case["median_s"] < sum(components.values()) <= case["median_s"]
    assert case["ratio"] == pytest.approx(case["median_s"] / case["floor_s"])
    if sys.platform == "linux":
        weights_bytes = 44e6 * 4  # 44 million parameters in float32
        assert weights_bytes / 2 < case["seen"]["peak_bytes"] < 20 * weights_bytes
    drawn = subprocess.run([*bench, "plot", str(report), str(picture)], env=environment, check=False)
    assert drawn.returncode == 0
    assert "decoder 4" in picture.read_text()
