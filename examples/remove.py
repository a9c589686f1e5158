"""Remove a photo's background: python examples/remove.py photo.jpg cutout.png [http://127.0.0.1:6905]"""

import json
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx  # httpx has the same functions

photo, cutout = Path(sys.argv[1]), Path(sys.argv[2])
server = sys.argv[3] if len(sys.argv) > 3 else "http://127.0.0.1:6905"


def follow(client: httpx.Client, task_id: str) -> Iterator[dict[str, Any]]:
    """Yield a task's states to its end. A stream that is cut off, as by a restart, is opened again."""
    while True:
        try:
            with client.stream("GET", f"/api/v1/remove/stream/{task_id}") as stream:
                for line in stream.raise_for_status().iter_lines():
                    if line.startswith("data: "):
                        task = json.loads(line.removeprefix("data: "))
                        yield task
                        if task["status"] in ("complete", "error"):
                            return
        except httpx.TransportError:
            pass
        time.sleep(1)


with httpx.Client(base_url=server, timeout=60) as client:
    files = {"file": (photo.name, photo.read_bytes())}
    key = {"Idempotency-Key": uuid.uuid4().hex}  # sent again with the same key, it gets the same task
    upload = client.post("/api/v1/remove/upload", files=files, data={"crop": "true"}, headers=key)
    task_id = upload.raise_for_status().json()["task_id"]
    for task in follow(client, task_id):
        print(f"{task['percent']:3.0f} % {task['message']}")
    result = client.get(f"/api/v1/remove/result/{task_id}").raise_for_status().json()
    cutout.write_bytes(client.get(result["result_url"]).raise_for_status().content)
    client.delete(f"/api/v1/remove/result/{task_id}")
