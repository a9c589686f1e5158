"""`bench.py start`: start-up time of the server, load and unload times of the models."""

import argparse
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import httpx2

from benches import BenchFailed, bench_server, checkpoints, positive_int
from benches.roofline import Goal

REPEATS = 3
BACKBONE = "swin_v1_l"  # the largest: 220 million parameters
LOAD_TIMEOUT_S = 300.0
POLL_S = 0.005
GOALS_S = {
    "server": 1.5,
    "load builtin": 1.0,
    "load birefnet": 6.0,
    "unload builtin": 1.0,
    "unload birefnet": 1.0,
}


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `start`."""
    parser.add_argument("--repeats", type=positive_int, default=REPEATS, help="number of starts (default 3)")
    checkpoints.add_folder_to(parser)


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure, print a table, and return every time in seconds. Raises BenchFailed."""
    folder = checkpoints.ensure_snapshot(BACKBONE, arguments.weights)
    times_s: dict[str, list[float]] = {name: [] for name in GOALS_S}
    try:
        for number in range(arguments.repeats):
            print(f"start {number + 1} of {arguments.repeats}", file=sys.stderr, flush=True)
            _start_once(folder, times_s)
    except httpx2.HTTPError as error:
        raise BenchFailed(f"The server failed: {error}") from error
    print(f"\n{'':18}{'median':>10}{'min .. max':>20}   BiRefNet is {BACKBONE}, 220 M parameters")
    for name, values in times_s.items():
        median_s = statistics.median(values)
        spread = f"{min(values):.2f} .. {max(values):.2f} s"
        print(f"{name:18}{median_s:>8.2f} s{spread:>20}   ({Goal(GOALS_S[name]).describe(median_s, 's')})")
    return {"backbone": BACKBONE, "times_s": times_s, "goals_s": GOALS_S}


def _start_once(folder: Path, times_s: dict[str, list[float]]) -> None:
    with bench_server.run_server(model=str(folder)) as server:
        times_s["server"].append(server.start_s)
        with httpx2.Client(base_url=f"{server.url}/api/v1", trust_env=False, timeout=LOAD_TIMEOUT_S) as http:
            for model in ("builtin", "birefnet"):
                start = time.perf_counter()
                _load(http, model)
                loaded = time.perf_counter()
                _post(http, "unload", model)
                times_s[f"load {model}"].append(loaded - start)
                times_s[f"unload {model}"].append(time.perf_counter() - loaded)


def _load(http: httpx2.Client, model: str) -> None:
    """Load a model and wait until its worker is ready."""
    task_id = _post(http, "load", model)["task_id"]
    deadline = time.perf_counter() + LOAD_TIMEOUT_S
    while (task := http.get(f"/tasks/{task_id}").raise_for_status().json())["status"] != "complete":
        if task["status"] == "error":
            raise BenchFailed(f"{model} cannot be loaded: {task['message']}")
        if time.perf_counter() > deadline:
            raise BenchFailed(f"{model} was not loaded within {LOAD_TIMEOUT_S:.0f} s.")
        time.sleep(POLL_S)


def _post(http: httpx2.Client, action: str, model: str) -> dict[str, Any]:
    reply = http.post(f"/remove/{action}", params={"model": model})
    body: dict[str, Any] = reply.raise_for_status().json()
    return body
