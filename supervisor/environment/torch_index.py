"""Where torch comes from: on Linux the package index has builds for NVIDIA GPUs only, and they are huge."""

import asyncio
import importlib
import logging
from collections.abc import Mapping

CPU_INDEX = "https://download.pytorch.org/whl/cpu"
TIMEOUT_S = 3.0
# Whoever sets one of these has said where packages come from.
CHOICES = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX")
log = logging.getLogger("supervisor.environment")


def is_chosen(platform: str, environment: Mapping[str, str], *, gpu: bool) -> bool:
    """Whether torch should come from the index of builds for CPUs, on a machine like this."""
    return platform == "linux" and not gpu and not any(environment.get(name) for name in CHOICES)


async def answers(url: str = CPU_INDEX, timeout_s: float = TIMEOUT_S) -> bool:
    """Whether that index can be reached."""
    # Not needed before, and a tenth of the server's start; on a thread, for nobody else to wait.
    await asyncio.to_thread(importlib.import_module, "httpx2")
    import httpx2  # noqa: PLC0415

    try:
        async with asyncio.timeout(timeout_s):
            # In a thread: a client reads the system's certificates when it is made.
            async with await asyncio.to_thread(httpx2.AsyncClient) as client:
                return (await client.head(f"{url}/torch/", follow_redirects=True)).is_success
    except (httpx2.HTTPError, OSError, TimeoutError, ValueError) as error:  # the last, of a proxy's address
        log.info("no index of torch for CPUs", extra={"reason": str(error) or type(error).__name__})
        return False
