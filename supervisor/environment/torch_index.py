"""Chooses the PyTorch package index, CPU or CUDA, for this machine.

PyPI has one torch build per platform: on Linux for CUDA, several GB that a CPU-only machine does not need; on
Windows for CPUs, which leaves an NVIDIA GPU unused.
"""

import asyncio
import logging
from collections.abc import Mapping

import httpx2

CPU_INDEX = "https://download.pytorch.org/whl/cpu"
CUDA_INDEX = "https://download.pytorch.org/whl/cu130"  # the CUDA version of PyPI's torch for Linux
TIMEOUT_S = 3.0
USER_INDEX_VARIABLES = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX")
log = logging.getLogger("supervisor.environment")


def choose_index(platform: str, environment: Mapping[str, str], *, gpu: bool) -> str | None:
    """Return the index URL to install torch from; None for pip's default or a user-configured index."""
    if any(environment.get(name) for name in USER_INDEX_VARIABLES):
        return None
    match platform, gpu:
        case "linux", False:
            return CPU_INDEX
        case "win32", True:
            return CUDA_INDEX
    return None


async def is_reachable(url: str, timeout_s: float = TIMEOUT_S) -> bool:
    """Whether the package index at `url` answers."""
    try:
        async with asyncio.timeout(timeout_s):
            # In a thread: creating a client reads the system's CA certificates.
            async with await asyncio.to_thread(httpx2.AsyncClient) as client:
                return (await client.head(f"{url}/torch/", follow_redirects=True)).is_success
    except (httpx2.HTTPError, OSError, TimeoutError, ValueError) as error:  # ValueError: a bad proxy URL
        reason = str(error) or type(error).__name__
        log.info("PyTorch index not reached", extra={"url": url, "reason": reason})
        return False
