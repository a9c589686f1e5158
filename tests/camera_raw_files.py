"""Writes camera raw files as TIFF: a thumbnail, an embedded JPEG preview, and a sensor's data of a size."""

import struct
from typing import Literal

Kind = Literal["NEF", "DNG", "CR2"]
Tag = tuple[int, int, list[int]]  # tag, type, values

_SHORT, _LONG = 3, 4
_THUMBNAIL = (16, 10)


def camera_raw(
    kind: Kind, preview: bytes, sensor: tuple[int, int], *, orientation: int = 1, big_endian: bool = False
) -> bytes:
    """Return a file whose preview is a JPEG file and whose sensor's data are announced, not there."""
    order = ">" if big_endian else "<"
    thumbnail = bytes(_THUMBNAIL[0] * _THUMBNAIL[1] * 3)
    head_bytes = 16
    preview_at = head_bytes + len(thumbnail)
    body = thumbnail + preview + bytes(len(preview) % 2)

    def add(tags: list[Tag]) -> int:
        """Append a directory, and return its offset."""
        nonlocal body
        entries = []
        for tag, form, values in sorted(tags):
            data = struct.pack(f"{order}{len(values)}{'I' if form == _LONG else 'H'}", *values)
            if len(data) > 4:
                body, data = body + data, struct.pack(f"{order}I", head_bytes + len(body))
            entries.append(struct.pack(f"{order}HHI", tag, form, len(values)) + data.ljust(4, b"\0"))
        at = head_bytes + len(body)
        body += struct.pack(f"{order}H", len(entries)) + b"".join(entries) + bytes(4)
        return at

    in_strip = kind != "NEF"
    places = ((273, 279), (513, 514))[0 if in_strip else 1]
    preview_tags: list[Tag] = [(259, _SHORT, [7 if kind == "DNG" else 6]), (places[0], _LONG, [preview_at])]
    preview_tags += [(places[1], _LONG, [len(preview)])]
    if kind == "CR2":  # the preview is the first image, without a thumbnail
        first = add(
            [
                *preview_tags,
                (274, _SHORT, [orientation]),
                (34665, _LONG, [add([(40962, _LONG, [sensor[0]]), (40963, _LONG, [sensor[1]])])]),
            ]
        )
        head = struct.pack(f"{order}I", first) + b"CR\2\0" + bytes(4)
    else:
        cfa: list[Tag] = [(254, _LONG, [0]), (256, _LONG, [sensor[0]]), (257, _LONG, [sensor[1]])]
        cfa += [(259, _SHORT, [34713 if kind == "NEF" else 7]), (262, _SHORT, [32803])]
        subs = [add([(254, _LONG, [1]), *preview_tags]), add(cfa)]
        width, height = _THUMBNAIL
        tags: list[Tag] = [(254, _LONG, [1]), (256, _LONG, [width]), (257, _LONG, [height])]
        tags += [(258, _SHORT, [8, 8, 8]), (259, _SHORT, [1]), (262, _SHORT, [2]), (273, _LONG, [head_bytes])]
        tags += [(274, _SHORT, [orientation]), (277, _SHORT, [3]), (278, _LONG, [height])]
        tags += [(279, _LONG, [len(thumbnail)]), (330, _LONG, subs)]
        tags += [(50706, _SHORT, [1])] if kind == "DNG" else []
        head = struct.pack(f"{order}I", add(tags)) + bytes(8)
    return (b"MM\0*" if big_endian else b"II*\0") + head + body
