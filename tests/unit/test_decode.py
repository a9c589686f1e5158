"""Photos in: every kind upright, in its true colours, or a clear error."""

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
from worker.imaging.decode import Photo, decode

LIMIT = 10_000_000
ORIENTATION, X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 0x0112, 0x011A, 0x011B, 0x0128
SCAN = b"\xff\xda"  # the marker at the start of each of a JPEG's scans
ROOT = Path(__file__).resolve().parent.parent.parent


def decoded(content: bytes, folder: Path) -> Photo:
    """Decode a file's bytes."""
    path = folder / "photo"
    path.write_bytes(content)
    return decode(path, LIMIT)


def colourful() -> Image.Image:
    """A picture whose four corners differ: red, green, blue, white."""
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[:20, :30], pixels[:20, 30:] = (255, 0, 0), (0, 255, 0)
    pixels[20:, :30], pixels[20:, 30:] = (0, 0, 255), (255, 255, 255)
    return Image.fromarray(pixels)


def noise(side: int) -> Image.Image:
    """A picture that packs badly, the same every time."""
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8))


def corners(image: Image.Image) -> list[tuple[int, ...]]:
    """Return the colours near the four corners, row by row."""
    width, height = image.size
    at = [(3, 3), (width - 4, 3), (3, height - 4), (width - 4, height - 4)]
    return [tuple(image.getpixel(point)) for point in at]  # type: ignore[arg-type]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_photo_comes_out_upright(tmp_path: Path, orientation: int) -> None:
    """Phones store photos lying on their side, with a note; the result must stand."""
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
    photo = decoded(encoded(stored, "PNG", exif=exif), tmp_path)
    assert photo.rgb.size == upright.size
    assert corners(photo.rgb) == corners(upright)


def in_mode(mode: str) -> Image.Image:
    """Return the colourful picture in another of Pillow's modes."""
    if mode == "I;16":
        return Image.fromarray(np.asarray(colourful().convert("L"), np.uint16) * 257)
    return colourful().convert(mode)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I;16"])
def test_every_colour_mode_becomes_rgb_of_full_size(tmp_path: Path, mode: str) -> None:
    """Scans, logos and print files are photos too."""
    kind = {"CMYK": "TIFF", "YCbCr": "JPEG"}.get(mode, "PNG")
    photo = decoded(encoded(in_mode(mode), kind), tmp_path)
    assert (photo.rgb.mode, photo.rgb.size) == ("RGB", (60, 40))
    assert min(corners(photo.rgb)[3]) > 250


def test_sixteen_bit_greys_are_scaled_and_not_clipped(tmp_path: Path) -> None:
    """Clipping would turn a scan white."""
    values = np.linspace(0, 65535, 256, dtype=np.uint16).reshape(16, 16)
    photo = decoded(encoded(Image.fromarray(values)), tmp_path)
    assert np.array_equal(np.asarray(photo.rgb)[..., 0].ravel(), np.arange(256))


def test_an_images_own_transparency_is_kept(tmp_path: Path) -> None:
    """A logo that is transparent already must stay so."""
    image = colourful().convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    photo = decoded(encoded(image), tmp_path)
    assert photo.alpha is not None
    assert np.array_equal(photo.alpha, np.asarray(image.getchannel("A")))
    palette = Image.new("P", (4, 4), 1)
    palette.putpalette([0, 0, 0, 255, 0, 0])
    photo = decoded(encoded(palette, transparency=1), tmp_path)
    assert photo.alpha is not None
    assert not photo.alpha.any()
    assert photo.for_network().getpixel((0, 0)) == (255, 255, 255)


def test_only_the_first_frame_of_an_animation_counts(tmp_path: Path) -> None:
    """A GIF gives one cut-out."""
    frames = [Image.new("RGB", (9, 9), colour) for colour in ("red", "blue")]
    photo = decoded(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]), tmp_path)
    assert photo.rgb.getpixel((4, 4)) == (255, 0, 0)


def test_a_giant_is_refused_by_its_header(tmp_path: Path) -> None:
    """50 000 x 50 000 would need 7 GB; a few kilobytes of file must not cost that."""
    giant = bytearray(encoded(Image.new("1", (8, 8))))
    giant[16:24] = (50_000).to_bytes(4, "big") * 2
    giant[29:33] = zlib.crc32(giant[12:29]).to_bytes(4, "big")
    with pytest.raises(TooManyPixels, match="50000 x 50000"):
        decoded(bytes(giant), tmp_path)


def test_a_small_picture_in_giant_tiles_is_refused_by_its_header(tmp_path: Path) -> None:
    """Memory is taken for a whole tile, however little of it is in the picture."""
    pixels = np.zeros((16, 16), np.uint8)
    tiles = ((322, 50_000), (323, 50_000))
    with pytest.raises(TooManyPixels, match="tiles of 50000 x 50000"):
        decoded(raw_images.tiff(pixels, raw_images.TIFF_BLACK_IS_ZERO, more=tiles), tmp_path)


def test_a_jpeg_of_hundreds_of_scans_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    """Each goes over the whole picture again: a small file would hold the worker for minutes."""
    content = encoded(colourful(), "JPEG", progressive=True)
    last = content[content.rindex(SCAN) : -2]
    assert decoded(content[:-2] + 50 * last + content[-2:], tmp_path).rgb.size == (60, 40)
    with pytest.raises(DamagedImage, match="more often than any encoder"):
        decoded(content[:-2] + 100 * last + content[-2:], tmp_path)


def test_what_looks_like_a_scan_beside_the_picture_is_none(tmp_path: Path) -> None:
    """Phones put a video behind a photo, and cameras notes before it."""
    for options in ({"progressive": True}, {"restart_marker_blocks": 1}):
        content = encoded(colourful(), "JPEG", comment=SCAN * 500, **options) + SCAN * 500
        assert decoded(content, tmp_path).rgb.size == (60, 40)


def test_a_file_cut_short_is_damaged(tmp_path: Path) -> None:
    """A half-grey result would be worse than an error."""
    for kind in FORMATS:
        whole = encoded(noise(64), kind)
        with pytest.raises(DamagedImage):
            decoded(whole[: len(whole) // 2], tmp_path)


@pytest.mark.parametrize(
    ("channels", "colours", "extra"),
    [(5, raw_images.TIFF_CMYK, 2), (3, raw_images.TIFF_LAB, None), (2, raw_images.TIFF_BLACK_IS_ZERO, 2)],
    ids=["CMYK with alpha", "16-bit L*a*b*", "16-bit grey with alpha"],
)
def test_a_sound_tiff_of_a_rare_kind_is_not_called_cut_short(
    tmp_path: Path, channels: int, colours: int, extra: int | None
) -> None:
    """Its owner would look for a fault that there is not, and never think of saving it as another kind."""
    samples = np.zeros((8, 8, channels), np.uint16)
    with pytest.raises(DamagedImage, match="TIFF file is damaged, or of a kind that cannot be read here"):
        decoded(raw_images.tiff(samples, colours, extra=extra), tmp_path)


def test_text_is_not_an_image(tmp_path: Path) -> None:
    """What no decoder knows gets its own error."""
    with pytest.raises(NotAnImage):
        decoded(b"hello", tmp_path)


def test_a_nonsense_resolution_is_dropped(tmp_path: Path) -> None:
    """A photo that claims 0 dpi must not fail at saving."""
    assert decoded(encoded(colourful(), "JPEG", dpi=(0, 0)), tmp_path).dpi is None
    assert decoded(encoded(colourful(), "JPEG", dpi=(300, 300)), tmp_path).dpi == (300, 300)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "HEIF"])
@pytest.mark.parametrize(("unit", "per_inch"), [(2, 1), (3, 2.54), (1, None), (None, 1)])
def test_a_resolution_told_by_exif_alone_is_kept(
    tmp_path: Path, kind: str, unit: int | None, per_inch: float | None
) -> None:
    """In inches, centimetres, of no meaning, or without a unit: most formats have no other place for it."""
    exif = Image.Exif()
    exif[X_RESOLUTION], exif[Y_RESOLUTION] = 300.0, 150.0
    if unit is not None:
        exif[RESOLUTION_UNIT] = unit
    told = decoded(without_jfif(encoded(colourful(), kind, exif=exif.tobytes())), tmp_path).dpi
    assert told == (None if per_inch is None else pytest.approx((300 * per_inch, 150 * per_inch)))


def test_a_jpeg_without_a_resolution_gets_none(tmp_path: Path) -> None:
    """72 dpi would be printed metres wide."""
    exif = Image.Exif()
    exif[ORIENTATION] = 1
    assert decoded(without_jfif(encoded(colourful(), "JPEG", exif=exif)), tmp_path).dpi is None


def without_jfif(content: bytes) -> bytes:
    """Return a JPEG without the header that cameras leave out; other files as they are."""
    start = content[:4] == b"\xff\xd8\xff\xe0"
    return content[:2] + content[4 + int.from_bytes(content[4:6]) :] if start else content


@pytest.mark.parametrize(("orientation", "dpi"), [(1, (300, 150)), (3, (300, 150)), (6, (150, 300))])
def test_a_resolution_turns_with_the_photo(
    tmp_path: Path, orientation: int, dpi: tuple[float, float]
) -> None:
    """Printed, a fax would else come out squeezed the wrong way."""
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    for kind in ("JPEG", "PNG", "TIFF"):
        told = decoded(encoded(colourful(), kind, dpi=(300, 150), exif=exif), tmp_path).dpi
        assert told == pytest.approx(dpi, rel=1e-3)


@pytest.mark.parametrize("white", [1, 255, 65535])
@pytest.mark.parametrize("light", [1.2, np.inf, np.nan])
def test_lights_brighter_than_white_do_not_blacken_a_float_photo(
    tmp_path: Path, white: int, light: float
) -> None:
    """Sharpening and lamps exceed white; what is no number at all must not set the scale either."""
    values = np.array([[0, 0.5, 1, light]], np.float32) * white
    photo = decoded(encoded(Image.fromarray(values), "TIFF"), tmp_path)
    shown = np.asarray(photo.rgb)[0, :, 0].tolist()
    assert shown == [0, 128, 255, 0 if np.isnan(light) else 255]


def test_a_lamp_in_a_float_photo_does_not_blacken_the_rest(tmp_path: Path) -> None:
    """A renderer's picture of 0 to 1 may hold the sun itself."""
    values = np.linspace(0, 1, 100 * 100, dtype=np.float32).reshape(100, 100)
    values[50, 50] = 1000
    shown = np.asarray(decoded(encoded(Image.fromarray(values), "TIFF"), tmp_path).rgb)
    assert (shown.min(), shown[-1, -1, 0], shown[50, 50, 0]) == (0, 255, 255)


def test_unsigned_greys_of_32_bits_keep_their_scale(tmp_path: Path) -> None:
    """Read as signed ones, the light half of them would be black."""
    values = np.array([[0, 2**30, 2**31, 2**32 - 1]], np.uint32)
    shown = decoded(raw_images.tiff(values, raw_images.TIFF_BLACK_IS_ZERO), tmp_path).rgb
    assert np.asarray(shown)[0, :, 0].tolist() == [0, 64, 128, 255]


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "TIFF, big-endian"])
def test_sixteen_bit_colours_keep_their_scale(tmp_path: Path, kind: str) -> None:
    """Each of the 65 536 levels must come to within one of its place among the 256."""
    levels = np.arange(65536, dtype=np.uint16).reshape(256, 256, 1).repeat(3, axis=2)
    if kind == "PNG":
        content = raw_images.png(levels, raw_images.PNG_RGB, 16)
    else:
        content = raw_images.tiff(levels, raw_images.TIFF_RGB, big_endian="big" in kind)
    found = np.asarray(decoded(content, tmp_path).rgb)
    assert np.abs(found - levels / 257).max() < 1
    assert (found.min(), found.max()) == (0, 255)


def test_an_orientation_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    """A camera's bug in a note is no reason to refuse the photo."""
    exif = b"Exif\0\0MM\0*\0\0\0\x08" + b"\xff" * 40
    assert decoded(encoded(colourful(), "JPEG", exif=exif), tmp_path).rgb.size == (60, 40)


def test_nothing_of_the_files_notes_goes_with_the_pixels(tmp_path: Path) -> None:
    """Writers of results take comments and the like from there."""
    exif = Image.Exif()
    exif[0x013B] = "Secret Name"
    photo = decoded(encoded(colourful(), "JPEG", exif=exif, comment="secret"), tmp_path)
    assert b"ecret" not in encoded(photo.rgb, "JPEG") + encoded(photo.rgb, "WEBP") + encoded(photo.rgb)


def test_without_its_package_heic_is_refused_by_name(tmp_path: Path) -> None:
    """Everything else goes on working, and the error says what to install."""
    (tmp_path / "photo").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    script = (
        "import sys; sys.modules['pillow_heif'] = None\n"
        "from pathlib import Path; from worker.imaging.decode import decode\n"
        "decode(Path(sys.argv[1]), 10)"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "photo")]
    child = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert "NotAnImage: HEIC photos cannot be read here: the package pillow-heif is missing." in child.stderr
