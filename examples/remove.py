"""Remove a photo's background: python examples/remove.py photo.jpg cutout.png [http://127.0.0.1:6905]"""

import json
import sys
from pathlib import Path

import httpx2 as httpx  # httpx has the same functions

photo, cutout = Path(sys.argv[1]), Path(sys.argv[2])
server = sys.argv[3] if len(sys.argv) > 3 else "http://127.0.0.1:6905"

with httpx.Client(base_url=server, timeout=60) as client:
    files = {"file": (photo.name, photo.read_bytes())}
    upload = client.post("/api/v1/remove/upload", files=files, data={"crop": "true"})
    task_id = upload.raise_for_status().json()["task_id"]
    with client.stream("GET", f"/api/v1/remove/stream/{task_id}") as stream:
        for line in stream.iter_lines():
            if line.startswith("data: "):
                task = json.loads(line.removeprefix("data: "))
                print(f"{task['percent']:3.0f} % {task['message']}")
    result = client.get(f"/api/v1/remove/result/{task_id}").raise_for_status().json()
    cutout.write_bytes(client.get(result["result_url"]).raise_for_status().content)
    client.delete(f"/api/v1/remove/result/{task_id}")
