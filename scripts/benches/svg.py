"""Just enough SVG for a bar chart: shapes and texts, coloured by classes that a style sheet names.

Scalable Vector Graphics 2, W3C; what is written here is the part that version 1.1 has too.
"""

from pathlib import Path
from xml.etree.ElementTree import Element, SubElement, indent, tostring

NAMESPACE = "http://www.w3.org/2000/svg"


class Drawing:
    """A picture of a width and a height in pixels, with a title for those who cannot see it."""

    def __init__(self, width: float, height: float, title: str, style: str) -> None:
        view = f"0 0 {_number(width)} {_number(height)}"
        size = {"width": _number(width), "height": _number(height)}
        self._root = Element(
            "svg", {"xmlns": NAMESPACE, "viewBox": view, **size, "role": "img", "aria-labelledby": "title"}
        )
        SubElement(self._root, "title", {"id": "title"}).text = title
        SubElement(self._root, "style").text = style
        self.box(0, 0, width, height, "ground")

    def box(self, x: float, y: float, width: float, height: float, kind: str, hint: str = "") -> None:
        """Draw a filled rectangle; `hint` is shown under the pointer."""
        place = {"x": x, "y": y, "width": width, "height": height}
        box = SubElement(self._root, "rect", {"class": kind, **_numbers(place)})
        if hint:
            SubElement(box, "title").text = hint

    def line(self, start: tuple[float, float], end: tuple[float, float], kind: str) -> None:
        """Draw a straight line from one (x, y) to another."""
        ends = {"x1": start[0], "y1": start[1], "x2": end[0], "y2": end[1]}
        SubElement(self._root, "line", {"class": kind, **_numbers(ends)})

    def text(self, x: float, y: float, text: str, kind: str = "") -> None:
        """Write a text whose base line begins at (x, y), or as the class anchors it."""
        SubElement(self._root, "text", {"class": kind or "label", **_numbers({"x": x, "y": y})}).text = text

    def __str__(self) -> str:
        indent(self._root)
        return tostring(self._root, encoding="unicode") + "\n"

    def write(self, file: Path) -> None:
        """Write the picture. Raises OSError."""
        file.write_text(str(self), encoding="utf-8")


def _numbers(values: dict[str, float]) -> dict[str, str]:
    return {name: _number(value) for name, value in values.items()}


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
