"""Minimal SVG writer for a bar chart: rectangles, lines and texts, styled by CSS classes.

A subset of SVG 1.1 (W3C).
"""

from pathlib import Path
from xml.etree.ElementTree import Element, SubElement, indent, tostring

NAMESPACE = "http://www.w3.org/2000/svg"


class Drawing:
    """An SVG drawing with a size in pixels and a title for screen readers."""

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
        """Add a filled rectangle; `hint` is its tooltip."""
        attributes = {"x": x, "y": y, "width": width, "height": height}
        box = SubElement(self._root, "rect", {"class": kind, **_numbers(attributes)})
        if hint:
            SubElement(box, "title").text = hint

    def line(self, start: tuple[float, float], end: tuple[float, float], kind: str) -> None:
        """Add a line between two points (x, y)."""
        ends = {"x1": start[0], "y1": start[1], "x2": end[0], "y2": end[1]}
        SubElement(self._root, "line", {"class": kind, **_numbers(ends)})

    def text(self, x: float, y: float, text: str, kind: str = "") -> None:
        """Add a text at the baseline point (x, y), anchored by its class."""
        SubElement(self._root, "text", {"class": kind or "label", **_numbers({"x": x, "y": y})}).text = text

    def __str__(self) -> str:
        indent(self._root)
        return tostring(self._root, encoding="unicode") + "\n"

    def write(self, file: Path) -> None:
        """Write the file. Raises OSError."""
        file.write_text(str(self), encoding="utf-8")


def _numbers(values: dict[str, float]) -> dict[str, str]:
    return {name: _number(value) for name, value in values.items()}


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
