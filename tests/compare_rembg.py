"""Compares a rembg server with this service: `python -m tests.compare_rembg URL_REMBG URL_OURS [URL_PHOTO]`.

Sends a matrix of requests to both, and prints the answers that are not the expected ones. `rembg s --no-ui`
2.0.86 needs the model u2netp; no request makes it download another. The answers of rembg in `CASES` were
recorded with this script from rembg[cpu,cli] 2.0.86 of PyPI, Python 3.11, on Linux. Requests by URL need a
public photo, URL_PHOTO: rembg refuses private addresses.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

import httpx2
from PIL import Image

from tests.photos import encoded, opened

ROUTE = "/api/remove"
PHOTO_URL = "photo"  # stands for URL_PHOTO in a query
TURN = Image.Exif()
TURN[0x0112] = 6  # a quarter turn

CUTOUT, MASK = "200 image/png RGBA 96x64", "200 image/png L 96x64"
OPAQUE = "200 image/png RGB 96x64"
INVALID, REFUSED, WRONG = "422 application/json", "400 application/json", "500 text/plain"
NOT_AN_IMAGE = "415 application/json"
NO_METHOD = "405 application/json"


def make_photo() -> Image.Image:
    """Return a photo of a bright disc on a dark ground, 96 x 64."""
    photo = Image.new("RGB", (96, 64), (40, 60, 80))
    photo.paste((230, 200, 90), (28, 12, 68, 52), Image.radial_gradient("L").resize((40, 40)).point(_disc))
    return photo


def _disc(distance: int) -> int:
    return 255 if distance < 128 else 0


FILES = {
    "photo": encoded(make_photo(), "JPEG"),
    "turned": encoded(make_photo(), "JPEG", exif=TURN),
    "transparent": encoded(make_photo().convert("RGBA"), "PNG"),
    "grey": encoded(make_photo().convert("L"), "PNG"),
    "grey-alpha": encoded(make_photo().convert("LA"), "PNG"),
    "palette": encoded(make_photo().convert("P"), "GIF"),
    "cmyk": encoded(make_photo().convert("CMYK"), "JPEG"),
    "webp": encoded(make_photo(), "WEBP"),
    "tiff": encoded(make_photo(), "TIFF"),
    "bmp": encoded(make_photo(), "BMP"),
    "text": b"hello",
    "empty": b"",
    "half": encoded(make_photo(), "JPEG")[:500],
}


@dataclass(frozen=True)
class Case:
    """One request, rembg's answer, and this service's where it differs.

    An answer is "status media-type", with the mode and the size of an image. The model is u2netp, unless set.
    """

    rembg: str
    ours: str | None = None
    form: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    file: str | None = "photo"
    method: str = "POST"
    kind: str = "form"  # "text": the file's field is a text; "body": the file is the whole body

    def __str__(self) -> str:
        fields = [f"{name}={value}" for name, value in (*self.form.items(), *self.query.items())]
        place = "?" if self.query else ""
        return f"{self.method} {self.kind} {self.file} {place}{'&'.join(fields)}"

    @property
    def expected(self) -> str:
        """What this service answers."""
        return self.ours or self.rembg

    def send(self, client: httpx2.Client, url: str, photo_url: str = "") -> str:
        """Send the request and return the answer."""
        query = {name: photo_url if value == PHOTO_URL else value for name, value in self.query.items()}
        if self.method != "POST":
            answer = client.request(self.method, url + ROUTE, params={"model": "u2netp", **query})
        elif self.kind == "body":
            headers = {"Content-Type": "image/jpeg"}
            answer = client.post(url + ROUTE, params=query, content=FILES["photo"], headers=headers)
        else:
            form = {"model": "u2netp", **self.form}
            files = {"file": ("photo", FILES[self.file])} if self.file else None
            if self.kind == "text":
                form, files = form | {"file": "hello"}, None
            answer = client.post(url + ROUTE, params=query, data=form, files=files)
        return describe(answer)


def describe(answer: httpx2.Response) -> str:
    """Return the answer's status and media type, and the mode and size of its image."""
    media_type = answer.headers.get("content-type", "").partition(";")[0]
    if not media_type.startswith("image/"):
        return f"{answer.status_code} {media_type}"
    image = opened(answer.content)
    return f"{answer.status_code} {media_type} {image.mode} {image.width}x{image.height}"


def _forms(rembg: str, *fields: Mapping[str, str], ours: str | None = None) -> list[Case]:
    return [Case(rembg, ours, form=each) for each in fields]


def _queries(rembg: str, name: str, *values: str, ours: str | None = None) -> list[Case]:
    return [Case(rembg, ours, query={name: value}) for value in values]


CASES: list[Case] = [
    Case(CUTOUT),
    # Kinds of photos
    *(Case(CUTOUT, file=name) for name in ("transparent", "grey", "grey-alpha", "palette", "cmyk")),
    *(Case(CUTOUT, file=name) for name in ("webp", "tiff", "bmp")),
    Case("200 image/png RGBA 64x96", file="turned"),
    Case("200 image/png L 64x96", form={"om": "true"}, file="turned"),
    *(Case(WRONG, NOT_AN_IMAGE, file=name) for name in ("text", "empty")),
    Case(WRONG, INVALID, file="half"),
    Case(INVALID, file=None),
    Case(WRONG, INVALID, kind="text"),
    Case(INVALID, CUTOUT, kind="body"),
    # Booleans
    *_forms(CUTOUT, *({name: value} for name in ("a", "dc", "ppm") for value in ("true", "0", "yes", ""))),
    *_forms(MASK, *({"om": value} for value in ("true", "1", "on", "t"))),
    *_forms(CUTOUT, {"om": "false"}, {"om": ""}, {"vm": "false"}, {"vm": ""}),
    *_forms(INVALID, *({name: "maybe"} for name in ("a", "om", "ppm", "dc", "vm")), {"a": "2"}),
    *_forms(
        MASK, {"om": "1", "vm": "1"}, {"om": "1", "a": "1", "ppm": "1", "dc": "1"}, {"om": "1", "ppm": "1"}
    ),
    *_forms(CUTOUT, {"a": "1", "dc": "1", "ppm": "1"}),
    # Thresholds
    *_forms(CUTOUT, {"af": "0"}, {"ab": "255"}, {"ae": "1000"}, {"af": ""}, {"af": " 7 "}, {"ab": "5.0"}),
    *_forms(CUTOUT, *({"a": "1", name: value} for name in ("af", "ab", "ae") for value in ("0", "255"))),
    *_forms(INVALID, *({name: value} for name in ("af", "ab") for value in ("256", "-1", "1.5", "x"))),
    *_forms(INVALID, {"ae": "-1"}, {"ae": "1.5"}, {"ae": "x"}),
    *_forms(WRONG, {"a": "1", "ae": "1000"}, ours=CUTOUT),
    # Colours: rembg reads them in the address alone
    *_queries(CUTOUT, "bgc", "255,0,0,128", "255,0,0,0", ""),
    *_queries(
        CUTOUT, "bgc", "255,0,0,255", "255,0,0", " 1, 2 ,3", "+1,2,3", "256,0,0", "-1,0,0", ours=OPAQUE
    ),
    *_queries(WRONG, "bgc", "1,2", "1,2,3,4,5", "red", "#ff0000", "1.5,2,3", ",", ours=INVALID),
    Case(MASK, form={"om": "1"}, query={"bgc": "1,2,3,4"}),
    Case(WRONG, MASK, form={"om": "1"}, query={"bgc": "red"}),
    Case(CUTOUT, OPAQUE, form={"dc": "1"}, query={"bgc": "255,0,0"}),
    *_forms(CUTOUT, {"bgc": "255,0,0,128"}),
    *_forms(CUTOUT, {"bgc": "255,0,0"}, ours=OPAQUE),
    *_forms(CUTOUT, {"bgc": "red"}, ours=INVALID),
    # Extras
    *_queries(CUTOUT, "extras", "", "{}", "not json", "[]", "[1]", "5", "null", '"ab"', '{"x": 1}'),
    *_queries(CUTOUT, "extras", '{"putalpha": true}', '{"sam_prompt": []}', '{"providers": "x"}'),
    *_queries(WRONG, "extras", '{"only_mask": true}', '{"session": 1}', ours=CUTOUT),
    *_forms(CUTOUT, {"extras": "not json"}, {"extras": '{"putalpha": true}'}),
    # Unknown fields and models
    *_forms(CUTOUT, {"zz": "1"}),
    *_queries(CUTOUT, "zz", "1"),
    *_forms(INVALID, {"model": "nonsense"}, {"model": "U2NETP"}, ours=REFUSED),
    *_forms(WRONG, {"model": "u2netpx"}, {"model": " u2netp"}, ours=REFUSED),
    # The address of a POST: rembg reads bgc and extras there, nothing else
    *_queries(CUTOUT, "model", "nonsense"),  # here as there, the form's model is used
    *_queries(CUTOUT, "om", "true", ours=MASK),
    *_queries(CUTOUT, "a", "maybe", ours=INVALID),
    # By URL
    Case("200 image/png RGBA", method="GET", query={"url": PHOTO_URL}),
    Case("200 image/png L", method="GET", query={"url": PHOTO_URL, "om": "true"}),
    Case("200 image/png RGBA", method="GET", query={"url": PHOTO_URL, "dc": "1", "ppm": "1", "zz": "1"}),
    Case(INVALID, method="GET"),
    *(
        Case(REFUSED, method="GET", query={"url": url})
        for url in (
            "http://127.0.0.1/x",
            "ftp://a/b",
            "file:///etc/passwd",
            "hello",
            "",
            "http://no.invalid/x",
        )
    ),
    Case(REFUSED, method="GET", query={"url": "http://127.0.0.1/x", "zz": "1"}),
    *(
        Case(INVALID, method="GET", query={"url": "http://127.0.0.1/x", name: value})
        for name, value in (("a", "maybe"), ("a", ""), ("af", "256"), ("af", ""))
    ),
    Case(WRONG, INVALID, method="GET", query={"url": "http://127.0.0.1/x", "bgc": "x"}),
    Case(INVALID, REFUSED, method="GET", query={"url": "http://127.0.0.1/x", "model": "nonsense"}),
    # Other methods
    *(Case(NO_METHOD, method=method) for method in ("PUT", "DELETE", "PATCH", "OPTIONS")),
]


def main(rembg_url: str, our_url: str, photo_url: str = "") -> int:
    """Print the answers that are not the expected ones; return how many there are."""
    different = 0
    headers = {"Connection": "close"}  # rembg closes the connection after an error of its own
    with httpx2.Client(trust_env=False, timeout=120, headers=headers) as client:
        for case in CASES:
            if PHOTO_URL in case.query.values() and not photo_url:
                continue
            for name, url, wanted in (("rembg", rembg_url, case.rembg), ("ours", our_url, case.expected)):
                answer = case.send(client, url, photo_url)
                if not answer.startswith(wanted):
                    different += 1
                    print(f"{case}\n  {name}: {answer}, expected: {wanted}")  # noqa: T201
    print(f"{len(CASES)} requests, {different} unexpected answers")  # noqa: T201
    return different


if __name__ == "__main__":
    sys.exit(bool(main(*sys.argv[1:])))
