"""Decoding: every supported file becomes upright RGB in its true colours, or a specific error."""

import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from shared.errors import DamagedImage, NotAnImage, TooManyPixels
from tests import raw_images
from tests.corpus import FORMATS
from tests.photos import encoded
from worker.imaging.decode import DecodedImage, decode

LIMIT = 10_000_000
ORIENTATION, X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 0x0112, 0x011A, 0x011B, 0x0128
SCAN = b"\xff\xda"  # the start-of-scan marker of JPEG
ROOT = Path(__file__).resolve().parent.parent.parent


def decode_bytes(content: bytes, folder: Path) -> DecodedImage:
    """Decode a file's bytes."""
    path = folder / "image"
    path.write_bytes(content)
    return decode(path, LIMIT)


def colourful() -> Image.Image:
    """Return an image with four different corners: red, green, blue, white."""
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[:20, :30], pixels[:20, 30:] = (255, 0, 0), (0, 255, 0)
    pixels[20:, :30], pixels[20:, 30:] = (0, 0, 255), (255, 255, 255)
    return Image.fromarray(pixels)


def noise(side: int) -> Image.Image:
    """Return seeded noise, which compresses badly."""
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8))


def corners(image: Image.Image) -> list[tuple[int, ...]]:
    """Return the colours near the four corners, row by row."""
    width, height = image.size
    at = [(3, 3), (width - 4, 3), (3, height - 4), (width - 4, height - 4)]
    return [tuple(image.getpixel(point)) for point in at]  # type: ignore[arg-type]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_exif_orientation_is_applied(tmp_path: Path, orientation: int) -> None:
    """Phones store photos as the sensor was held; the result must be upright."""
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    upright = colourful()
    stored = upright.transpose(undo[orientation]) if orientation > 1 else upright
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    image = decode_bytes(encoded(stored, "PNG", exif=exif), tmp_path)
    assert image.rgb.size == upright.size
    assert corners(image.rgb) == corners(upright)


def in_mode(mode: str) -> Image.Image:
    """Return the colourful image in another of Pillow's modes."""
    if mode == "I;16":
        return Image.fromarray(np.asarray(colourful().convert("L"), np.uint16) * 257)
    return colourful().convert(mode)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I;16"])
def test_every_pillow_mode_becomes_rgb_of_the_same_size(tmp_path: Path, mode: str) -> None:
    """Scans, logos and print files are input, too."""
    kind = {"CMYK": "TIFF", "YCbCr": "JPEG"}.get(mode, "PNG")
    image = decode_bytes(encoded(in_mode(mode), kind), tmp_path)
    assert (image.rgb.mode, image.rgb.size) == ("RGB", (60, 40))
    assert min(corners(image.rgb)[3]) > 250


def test_16_bit_greys_are_scaled_and_not_clipped(tmp_path: Path) -> None:
    """Pillow's own conversion clips, which turns a scan white."""
    values = np.linspace(0, 65535, 256, dtype=np.uint16).reshape(16, 16)
    image = decode_bytes(encoded(Image.fromarray(values)), tmp_path)
    assert np.array_equal(np.asarray(image.rgb)[..., 0].ravel(), np.arange(256))


def test_the_images_own_alpha_is_kept(tmp_path: Path) -> None:
    """An RGBA channel, and a palette's transparent entry."""
    rgba = colourful().convert("RGBA")
    rgba.putalpha(Image.linear_gradient("L").resize(rgba.size))
    image = decode_bytes(encoded(rgba), tmp_path)
    assert image.alpha is not None
    assert np.array_equal(image.alpha, np.asarray(rgba.getchannel("A")))
    palette = Image.new("P", (4, 4), 1)
    palette.putpalette([0, 0, 0, 255, 0, 0])
    image = decode_bytes(encoded(palette, transparency=1), tmp_path)
    assert image.alpha is not None
    assert not image.alpha.any()
    flat = image.to_model_input()
    assert isinstance(flat, Image.Image)
    assert flat.getpixel((0, 0)) == (255, 255, 255)


def test_only_the_first_frame_of_an_animation_is_decoded(tmp_path: Path) -> None:
    """A GIF gives one result."""
    frames = [Image.new("RGB", (9, 9), colour) for colour in ("red", "blue")]
    image = decode_bytes(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]), tmp_path)
    assert image.rgb.getpixel((4, 4)) == (255, 0, 0)


def test_too_many_pixels_are_rejected_by_the_header(tmp_path: Path) -> None:
    """A decompression bomb: 50 000 x 50 000 pixels, 7 GB of memory, in a file of kilobytes."""
    giant = bytearray(encoded(Image.new("1", (8, 8))))
    giant[16:24] = (50_000).to_bytes(4, "big") * 2
    giant[29:33] = zlib.crc32(giant[12:29]).to_bytes(4, "big")
    with pytest.raises(TooManyPixels, match="50000 x 50000"):
        decode_bytes(bytes(giant), tmp_path)


def test_oversized_tiff_tiles_are_rejected_by_the_header(tmp_path: Path) -> None:
    """The decoder allocates a whole tile, however small the image."""
    pixels = np.zeros((16, 16), np.uint8)
    tiles = ((322, 50_000), (323, 50_000))
    with pytest.raises(TooManyPixels, match="tiles of 50000 x 50000"):
        decode_bytes(raw_images.tiff(pixels, raw_images.TIFF_BLACK_IS_ZERO, more=tiles), tmp_path)


def test_a_jpeg_with_hundreds_of_scans_is_rejected_before_decoding(tmp_path: Path) -> None:
    """Each scan decodes the whole image again: a small file would occupy the worker for minutes."""
    content = encoded(colourful(), "JPEG", progressive=True)
    last = content[content.rindex(SCAN) : -2]
    assert decode_bytes(content[:-2] + 50 * last + content[-2:], tmp_path).rgb.size == (60, 40)
    with pytest.raises(DamagedImage, match="more scans than any encoder"):
        decode_bytes(content[:-2] + 100 * last + content[-2:], tmp_path)


def test_scan_markers_outside_the_image_do_not_count(tmp_path: Path) -> None:
    """In a phone's appended video, or in a comment."""
    for options in ({"progressive": True}, {"restart_marker_blocks": 1}):
        content = encoded(colourful(), "JPEG", comment=SCAN * 500, **options) + SCAN * 500
        assert decode_bytes(content, tmp_path).rgb.size == (60, 40)


def test_a_truncated_file_is_an_error_in_every_format(tmp_path: Path) -> None:
    """Not an image whose missing part is grey."""
    for kind in FORMATS:
        content = encoded(noise(64), kind)
        with pytest.raises(DamagedImage):
            decode_bytes(content[: len(content) // 2], tmp_path)


@pytest.mark.parametrize(
    ("channels", "colours", "extra"),
    [(5, raw_images.TIFF_CMYK, 2), (3, raw_images.TIFF_LAB, None)],
    ids=["CMYK with alpha", "16-bit L*a*b*"],
)
def test_an_unsupported_tiff_is_not_reported_as_damaged_alone(
    tmp_path: Path, channels: int, colours: int, extra: int | None
) -> None:
    """The user should think of saving it in another format."""
    samples = np.zeros((8, 8, channels), np.uint16)
    with pytest.raises(DamagedImage, match="TIFF file is damaged, or of a kind that cannot be read here"):
        decode_bytes(raw_images.tiff(samples, colours, extra=extra), tmp_path)


def test_an_unknown_format_is_not_an_image(tmp_path: Path) -> None:
    """It has an error code of its own."""
    with pytest.raises(NotAnImage):
        decode_bytes(b"hello", tmp_path)


def test_an_implausible_dpi_is_dropped(tmp_path: Path) -> None:
    """Encoders reject 0 dpi."""
    assert decode_bytes(encoded(colourful(), "JPEG", dpi=(0, 0)), tmp_path).dpi is None
    assert decode_bytes(encoded(colourful(), "JPEG", dpi=(300, 300)), tmp_path).dpi == (300, 300)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "HEIF"])
@pytest.mark.parametrize(("unit", "per_inch"), [(2, 1), (3, 2.54), (1, None), (None, 1)])
def test_the_dpi_in_exif_is_used_without_one_in_the_header(
    tmp_path: Path, kind: str, unit: int | None, per_inch: float | None
) -> None:
    """In inches, centimetres, without meaning, or without a unit. Most formats store it there only."""
    exif = Image.Exif()
    exif[X_RESOLUTION], exif[Y_RESOLUTION] = 300.0, 150.0
    if unit is not None:
        exif[RESOLUTION_UNIT] = unit
    dpi = decode_bytes(without_jfif(encoded(colourful(), kind, exif=exif.tobytes())), tmp_path).dpi
    assert dpi == (None if per_inch is None else pytest.approx((300 * per_inch, 150 * per_inch)))


def test_a_jpeg_without_a_resolution_has_no_dpi(tmp_path: Path) -> None:
    """Pillow invents 72 dpi, which prints metres wide."""
    exif = Image.Exif()
    exif[ORIENTATION] = 1
    assert decode_bytes(without_jfif(encoded(colourful(), "JPEG", exif=exif)), tmp_path).dpi is None


def without_jfif(content: bytes) -> bytes:
    """Return a JPEG without its JFIF header, as cameras write it; other files unchanged."""
    start = content[:4] == b"\xff\xd8\xff\xe0"
    return content[:2] + content[4 + int.from_bytes(content[4:6]) :] if start else content


@pytest.mark.parametrize(
    ("orientation", "dpi"), [(number, (300, 150) if number < 5 else (150, 300)) for number in range(1, 9)]
)
def test_the_dpi_is_transposed_with_the_orientation(
    tmp_path: Path, orientation: int, dpi: tuple[float, float]
) -> None:
    """Faxes have different resolutions across and down."""
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    for kind in ("JPEG", "PNG", "TIFF"):
        found = decode_bytes(encoded(colourful(), kind, dpi=(300, 150), exif=exif), tmp_path).dpi
        assert found == pytest.approx(dpi, rel=1e-3)


@pytest.mark.parametrize("white", [1, 255, 65535])
@pytest.mark.parametrize("light", [1.2, np.inf, np.nan])
def test_highlights_above_white_do_not_scale_a_float_image(tmp_path: Path, white: int, light: float) -> None:
    """Sharpening and light sources exceed white; infinity and NaN must not set the scale either."""
    values = np.array([[0, 0.5, 1, light]], np.float32) * white
    image = decode_bytes(encoded(Image.fromarray(values), "TIFF"), tmp_path)
    greys = np.asarray(image.rgb)[0, :, 0].tolist()
    assert greys == [0, 128, 255, 0 if np.isnan(light) else 255]


def test_a_single_bright_pixel_does_not_darken_a_float_image(tmp_path: Path) -> None:
    """A rendered image of 0 to 1 may contain the sun."""
    values = np.linspace(0, 1, 100 * 100, dtype=np.float32).reshape(100, 100)
    values[50, 50] = 1000
    greys = np.asarray(decode_bytes(encoded(Image.fromarray(values), "TIFF"), tmp_path).rgb)
    assert (greys.min(), greys[-1, -1, 0], greys[50, 50, 0]) == (0, 255, 255)


def test_unsigned_32_bit_greys_keep_their_scale(tmp_path: Path) -> None:
    """Pillow reads them as signed, which turns the brighter half black."""
    values = np.array([[0, 2**30, 2**31, 2**32 - 1]], np.uint32)
    grey = decode_bytes(raw_images.tiff(values, raw_images.TIFF_BLACK_IS_ZERO), tmp_path).rgb
    assert np.asarray(grey)[0, :, 0].tolist() == [0, 64, 128, 255]


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "TIFF, big-endian"])
def test_16_bit_colours_keep_their_scale(tmp_path: Path, kind: str) -> None:
    """Each of the 65 536 levels is within one of its exact value among the 256."""
    levels = np.arange(65536, dtype=np.uint16).reshape(256, 256, 1).repeat(3, axis=2)
    if kind == "PNG":
        content = raw_images.png(levels, raw_images.PNG_RGB, 16)
    else:
        content = raw_images.tiff(levels, raw_images.TIFF_RGB, big_endian="big" in kind)
    found = np.asarray(decode_bytes(content, tmp_path).rgb)
    assert np.abs(found - levels / 257).max() < 1
    assert (found.min(), found.max()) == (0, 255)


def test_unreadable_exif_data_are_ignored(tmp_path: Path) -> None:
    """A camera's bug in the metadata is no reason to reject the image."""
    exif = b"Exif\0\0MM\0*\0\0\0\x08" + b"\xff" * 40
    assert decode_bytes(encoded(colourful(), "JPEG", exif=exif), tmp_path).rgb.size == (60, 40)


def test_metadata_do_not_reach_the_result(tmp_path: Path) -> None:
    """Pillow's encoders write the comments in an image's `info`."""
    exif = Image.Exif()
    exif[0x013B] = "Secret Name"
    image = decode_bytes(encoded(colourful(), "JPEG", exif=exif, comment="secret"), tmp_path)
    assert b"ecret" not in encoded(image.rgb, "JPEG") + encoded(image.rgb, "WEBP") + encoded(image.rgb)


def test_without_pillow_heif_a_heic_is_rejected_with_the_packages_name(tmp_path: Path) -> None:
    """Other formats keep working."""
    (tmp_path / "image").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    script = (
        "import sys; sys.modules['pillow_heif'] = None\n"
        "from pathlib import Path; from worker.imaging.decode import decode\n"
        "decode(Path(sys.argv[1]), 10)"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "image")]
    child = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert "NotAnImage: HEIC photos cannot be read here: the package pillow-heif is missing." in child.stderr
