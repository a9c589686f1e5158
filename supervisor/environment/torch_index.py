"""Where torch comes from: PyPI has one build of it a platform, and that is not always the fitting one.

On Linux it is for NVIDIA GPUs, and huge; on Windows for CPUs, and leaves an NVIDIA GPU unused.
"""

import asyncio
import logging
from collections.abc import Mapping

import httpx2

CPU_INDEX = "https://download.pytorch.org/whl/cpu"
CUDA_INDEX = "https://download.pytorch.org/whl/cu130"  # the CUDA that PyPI's torch for Linux is built for
TIMEOUT_S = 3.0
# Whoever sets one of these has said where packages come from.
CHOICES = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX")
log = logging.getLogger("supervisor.environment")


def choice(platform: str, environment: Mapping[str, str], *, gpu: bool) -> str | None:
    """Return the index that a machine like this should take torch from; None for pip's own."""
    if any(environment.get(name) for name in CHOICES):
        return None
    match platform, gpu:
        case "linux", False:
            return CPU_INDEX
        case "win32", True:
            return CUDA_INDEX
    return None


async def answers(url: str, timeout_s: float = TIMEOUT_S) -> bool:
    """Whether an index can be reached."""
    try:
        async with asyncio.timeout(timeout_s):
            # In a thread: a client reads the system's certificates when it is made.
            async with await asyncio.to_thread(httpx2.AsyncClient) as client:
                return (await client.head(f"{url}/torch/", follow_redirects=True)).is_success
    except (httpx2.HTTPError, OSError, TimeoutError, ValueError) as error:  # the last, of a proxy's address
        log.info("no answer from the index of torch", extra={"reason": str(error) or type(error).__name__})
        return False
