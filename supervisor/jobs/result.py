"""A finished removal's result, as clients see it."""

from collections.abc import Mapping
from typing import Annotated, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from shared.formats import MEDIA_TYPES
from shared.messages import RemovalResult

STEPS = ("queued", "decode", "inference", "refine", "encode", "total")  # of `timings_ms`, in their order


class Result(TypedDict):
    """A finished removal as clients see it."""

    task_id: str
    status: Literal["complete"]
    original_file_id: str
    original_url: str
    result_file_id: str
    result_url: str
    alpha_file_id: NotRequired[Annotated[str, Field(description="of the kept matte, which edits start from")]]
    alpha_url: NotRequired[
        Annotated[str, Field(description="the kept matte: a grey PNG of the upright photo's size")]
    ]
    width: Annotated[int, Field(description="of the result's picture, in pixels")]
    height: Annotated[int, Field(description="of the result's picture, in pixels")]
    format: Annotated[
        str,
        Field(description="the file's own; zip for both", json_schema_extra={"enum": [*MEDIA_TYPES]}),
    ]
    subject: Annotated[bool, Field(description="false where the photo shows none: the result is empty")]
    coverage: Annotated[float, Field(description="how much of the photo the subject takes, 0 to 1")]
    box: Annotated[
        tuple[int, int, int, int] | None,
        Field(description="left, top, width and height of the subject in the upright photo, in pixels"),
    ]
    frame: Annotated[
        tuple[int, int, int, int],
        Field(
            description="the part of the upright photo that the result shows; all, if not cropped; on a "
            "canvas it may reach beyond the photo"
        ),
    ]
    photo_width: Annotated[int, Field(description="of the upright photo, in pixels")]
    photo_height: Annotated[int, Field(description="of the upright photo, in pixels")]
    scale_factor: Annotated[float, Field(description="pixels of the result per pixel of the photo")]
    warnings: Annotated[
        list[str],
        Field(description="sentences about what of the image was not used, as the frames of an animation"),
    ]
    model_id: str
    device: str
    timings_ms: Annotated[
        dict[str, float],
        Field(description="milliseconds in the queue (queued), in each step, and in all (total)"),
    ]
    expires_at: Annotated[float, Field(description="when the files are deleted, in Unix seconds")]


def make_result(
    job_id: str,
    made: RemovalResult,
    timings_ms: Mapping[str, float],
    file_ids: tuple[str, str, str | None],
    expires_at: float,
) -> Result:
    """Return the result of a job from what its worker made; `file_ids` are of the original, the result and
    the kept matte, if there is one.
    """
    original, cutout, alpha = file_ids
    result = Result(
        task_id=job_id,
        status="complete",
        original_file_id=original,
        original_url=f"/api/v1/files/{original}",
        result_file_id=cutout,
        result_url=f"/api/v1/files/{cutout}",
        width=made.width,
        height=made.height,
        format=made.format,
        subject=made.subject,
        coverage=made.coverage,
        box=made.box,
        frame=made.frame,
        photo_width=made.photo_width,
        photo_height=made.photo_height,
        scale_factor=made.scale_factor,
        warnings=list(made.warnings),
        model_id=made.model_id,
        device=made.device,
        timings_ms=dict(timings_ms),
        expires_at=round(expires_at, 3),
    )
    if alpha is not None:
        result["alpha_file_id"], result["alpha_url"] = alpha, f"/api/v1/files/{alpha}"
    return result
