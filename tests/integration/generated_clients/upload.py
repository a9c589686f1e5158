"""Upload a photo and download its result with a generated Python client. Arguments: URL, photo, result."""

import base64
import sys
import time
from io import BytesIO
from pathlib import Path

from bgremove_client import Client
from bgremove_client.api.drop_in import drop_in_removebg
from bgremove_client.api.files import files_download
from bgremove_client.api.remove import remove_result, remove_upload
from bgremove_client.api.tasks import tasks_read_task
from bgremove_client.models import (
    Accepted,
    DropInRemovebgFilesRemovebgRequest,
    RemovebgResult,
    Result,
    TaskPayload,
    UploadForm,
    UploadFormFormat,
)
from bgremove_client.types import File


def main(url: str, photo: Path, target: Path) -> None:
    """Do what the module's docstring says."""
    with Client(base_url=url) as client:
        file = File(payload=BytesIO(photo.read_bytes()), file_name=photo.name)
        form = UploadForm(file=file, format_=UploadFormFormat.WEBP, max_size=100)
        accepted = remove_upload.sync(client=client, body=form)
        assert isinstance(accepted, Accepted), accepted
        while True:
            task = tasks_read_task.sync(accepted.task_id, client=client)
            assert isinstance(task, TaskPayload), task
            if task.status in ("complete", "error"):
                break
            time.sleep(0.1)
        result = remove_result.sync(accepted.task_id, client=client)
        assert isinstance(result, Result), result
        content = files_download.sync(result.result_file_id, client=client)
        assert isinstance(content, File), content
        target.write_bytes(content.payload.read())
    with Client(base_url=url, headers={"Accept": "application/json"}) as client:
        file = File(payload=BytesIO(photo.read_bytes()), file_name=photo.name)
        body = DropInRemovebgFilesRemovebgRequest(image_file=file)
        answer = drop_in_removebg.sync(client=client, body=body)
        assert isinstance(answer, RemovebgResult), answer
        assert base64.b64decode(answer.data.result_b64).startswith(b"\x89PNG")


main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
