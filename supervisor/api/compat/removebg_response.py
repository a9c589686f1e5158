"""Responses of remove.bg's route: the image or JSON, and the headers with its sizes."""

from collections.abc import Sequence

from typing_extensions import TypedDict

from shared.lengths import fit_within
from supervisor.api.compat.removebg_options import limit_pixels
from supervisor.api.compat.removebg_request import RemovebgRequest
from supervisor.api.rate_limit import HEADERS as RATE_HEADERS
from supervisor.jobs.result import Result

SIDES = ("left", "top", "width", "height")
RESULT_HEADERS = (
    *("X-Width", "X-Height", "X-Max-Width", "X-Max-Height", "X-Type", "X-Credits-Charged"),
    *(f"X-Foreground-{side.title()}" for side in SIDES),
    *RATE_HEADERS,
)


class ResultData(TypedDict):
    """A result in base64, and the box of its foreground in the photo's pixels."""

    result_b64: str
    foreground_left: int
    foreground_top: int
    foreground_width: int
    foreground_height: int


class RemovebgResult(TypedDict):
    """The JSON answer of `POST /v1.0/removebg`."""

    data: ResultData


def make_result_headers(asked: RemovebgRequest, result: Result, box: Sequence[int]) -> dict[str, str]:
    """Return the headers with the sizes of a result whose subject is in `box`, in the photo's pixels."""
    frame_size = result["frame"][2], result["frame"][3]
    width, height = fit_within(frame_size, None, limit_pixels("full", is_png=result["format"] == "png"))
    headers = {
        "X-Width": str(result["width"]),
        "X-Height": str(result["height"]),
        "X-Max-Width": str(width),
        "X-Max-Height": str(height),
        "X-Credits-Charged": "0",
        **{f"X-Foreground-{side.title()}": str(value) for side, value in zip(SIDES, box, strict=True)},
    }
    if asked.type_level != "none":  # nothing is detected: the client's own word, or the most general
        headers["X-Type"] = "other" if asked.type == "auto" else asked.type
    return headers


def accepts_json(accept: str) -> bool:
    """Whether an `Accept` header asks for JSON: it names that, and neither an image type nor */*.

    axios sends `application/json, text/plain, */*` by default, and its users save the body as an image.
    """
    kinds = {part.partition(";")[0].strip().lower() for part in accept.split(",")}
    return (
        "application/json" in kinds
        and "*/*" not in kinds
        and not any(kind.startswith("image/") for kind in kinds)
    )
