"""Results from file to file: canvases, shadows, layers, and white JPEGs. The matte is the photo's luma."""

import io
import zipfile
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import pytest
from PIL import Image

from shared.errors import ResultTooLarge
from shared.messages import RemovalJob, RemovalResult
from shared.options import RemovalOptions
from tests.fake_workers.by_light import Light
from tests.icc import rgb_profile
from tests.photos import encoded, opened
from worker import pipeline

ORIENTATION = 0x0112


def photo() -> Image.Image:
    """Return a white rectangle, the subject, of 80 x 160 pixels on black."""
    image = Image.new("RGB", (400, 300))
    image.paste("white", (100, 60, 180, 220))
    return image


def remove(folder: Path, image: bytes | None = None, **options: Any) -> tuple[bytes, RemovalResult]:
    """Return the result's file and description."""
    source, result = folder / "source", folder / "result"
    source.write_bytes(image or encoded(photo()))
    job = RemovalJob("a", str(source), str(result), RemovalOptions(**options))
    made = pipeline.remove(job, Light(), 10_000_000, lambda _percent, _message: None)
    return result.read_bytes(), made


def find_box(image: Image.Image) -> tuple[int, int, int, int] | None:
    """Return left, top, right and bottom of the white or opaque pixels."""
    marked = image.getchannel("A") if image.mode == "RGBA" else image.convert("L")
    return marked.point([0] * 128 + [255] * 128).getbbox()


@pytest.mark.parametrize("kind", ["png", "webp", "jpeg"])
@pytest.mark.parametrize("background", [None, "#204060"])
def test_a_subject_is_placed_in_each_format(tmp_path: Path, kind: str, background: str | None) -> None:
    """The same place, whatever the format and what is behind."""
    options: dict[str, Any] = {"canvas": "500x500", "scale": "80%", "position": "0% 100%"}
    result, made = remove(tmp_path, format=kind, background=background, lossless=True, **options)
    image = opened(result)
    assert image.size == (made.width, made.height) == (500, 500)
    if kind != "jpeg" or background:
        assert find_box(image) == pytest.approx((0, 100, 200, 500), abs=1)
    assert made.box == (100, 60, 80, 160), "in the photo"
    assert made.scale_factor == 2.5
    assert made.frame == (100, 20, 200, 200)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_photo_is_laid_out_upright(tmp_path: Path, orientation: int) -> None:
    """Regions and positions refer to the photo as it is seen."""
    upright = photo()
    turns = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
    stored = upright if orientation == 1 else upright.transpose(Image.Transpose(turns[orientation]))
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    result, made = remove(
        tmp_path, encoded(stored, exif=exif), canvas="photo", position="100% 0%", roi="25% 20% 45% 100%"
    )
    assert made.box == (100, 60, 80, 160)
    assert find_box(opened(result)) == (320, 0, 400, 160)


def test_a_crop_reaches_beyond_the_photo(tmp_path: Path) -> None:
    """There is nothing there: clear, or the background's colour."""
    image = opened(remove(tmp_path, crop=True, margin="100px")[0])
    assert (image.size, find_box(image)) == ((280, 360), (100, 100, 180, 260))
    assert image.getpixel((5, 5)) == (0, 0, 0, 0)
    over = opened(remove(tmp_path, crop=True, margin="100px", background="#123456")[0])
    assert over.getpixel((5, 5)) == (0x12, 0x34, 0x56)


def test_a_background_image_covers_the_canvas(tmp_path: Path) -> None:
    """Also where the photo does not reach."""
    (tmp_path / "background").write_bytes(encoded(Image.new("RGB", (10, 20), "blue")))
    source, result = tmp_path / "source", tmp_path / "result"
    source.write_bytes(encoded(photo()))
    options = RemovalOptions(canvas="1:2")
    job = RemovalJob("a", str(source), str(result), options, str(tmp_path / "background"))
    pipeline.remove(job, Light(), 10_000_000, lambda _percent, _message: None)
    image = opened(result.read_bytes())
    assert (image.mode, image.size) == ("RGB", (400, 800))
    assert {image.getpixel((x, y)) for x in (0, 399) for y in (0, 400, 799)} == {(0, 0, 255)}


@pytest.mark.parametrize("background", [None, "#ffffff00", "#ffffff80"])
def test_a_jpeg_without_an_opaque_background_is_on_white(tmp_path: Path, background: str | None) -> None:
    """Black would surprise everybody."""
    image = opened(remove(tmp_path, format="jpeg", background=background)[0])
    assert (image.mode, image.getpixel((5, 5))) == ("RGB", (255, 255, 255))


def test_a_mask_as_jpeg_stays_as_it_is(tmp_path: Path) -> None:
    """It has no transparency."""
    image = opened(remove(tmp_path, format="jpeg", output="mask")[0])
    assert (image.mode, image.getpixel((5, 5)), image.getpixel((140, 140))) == ("L", 0, 255)


def test_a_mask_is_laid_out_like_its_cutout_and_has_no_shadow(tmp_path: Path) -> None:
    """Both files of `both` fit together."""
    archive = zipfile.ZipFile(
        io.BytesIO(remove(tmp_path, output="both", canvas="500x500", scale="60%", shadow="drop")[0])
    )
    cutout, mask = (opened(archive.read(f"image-{kind}.png")) for kind in ("cutout", "mask"))
    box = find_box(mask)
    assert cutout.size == mask.size == (500, 500)
    assert box == pytest.approx((175, 100, 325, 400), abs=1)
    assert box is not None
    assert mask.getpixel((box[2] + 4, 300)) == 0
    assert cutout.getchannel("A").getpixel((box[2] + 1, 300)) != 0


class TestShadow:
    """A shadow is under the subject and over the background."""

    OPTIONS: ClassVar[dict[str, Any]] = {"shadow": "drop", "shadow_offset": "40px 50px", "shadow_blur": "0"}
    IN_SHADOW, BESIDE, ON_SUBJECT = (200, 240), (300, 240), (170, 200)

    def test_on_a_clear_background_it_is_part_of_the_alpha(self, tmp_path: Path) -> None:
        """Its colour and opacity are the options'."""
        image = opened(remove(tmp_path, **self.OPTIONS, shadow_colour="#804020", shadow_opacity=40)[0])
        assert image.getpixel(self.IN_SHADOW) == (0x80, 0x40, 0x20, 102)
        assert image.getpixel(self.BESIDE) == (0, 0, 0, 0)
        assert image.getpixel(self.ON_SUBJECT) == (255, 255, 255, 255)

    @pytest.mark.parametrize("kind", ["png", "jpeg"])
    def test_on_a_colour_it_darkens(self, tmp_path: Path, kind: str) -> None:
        """Half of black over the colour is half the colour."""
        image = opened(
            remove(tmp_path, **self.OPTIONS, format=kind, background="#c86432", shadow_opacity=50)[0]
        )
        assert image.mode == "RGB"
        assert image.getpixel(self.IN_SHADOW) == pytest.approx((100, 50, 25), abs=3)
        assert image.getpixel(self.BESIDE) == pytest.approx((200, 100, 50), abs=3)
        assert image.getpixel(self.ON_SUBJECT) == pytest.approx((255, 255, 255), abs=3)

    def test_on_a_translucent_colour_both_add_up(self, tmp_path: Path) -> None:
        """Porter-Duff: 1 - (1 - 0.5)(1 - 0.5)."""
        image = opened(remove(tmp_path, **self.OPTIONS, background="#ffffff80", shadow_opacity=50)[0])
        assert image.getchannel("A").getpixel(self.IN_SHADOW) == pytest.approx(191, abs=2)

    def test_the_subject_is_told_without_it(self, tmp_path: Path) -> None:
        """`box` and `coverage` are the subject's alone."""
        _, plain = remove(tmp_path)
        _, shaded = remove(tmp_path, **self.OPTIONS)
        assert (shaded.box, shaded.coverage, shaded.subject) == (plain.box, plain.coverage, plain.subject)

    def test_a_photo_without_a_subject_has_none(self, tmp_path: Path) -> None:
        """There is nothing to cast it."""
        empty, made = remove(tmp_path, encoded(Image.new("RGB", (50, 40))), **self.OPTIONS)
        assert (made.subject, opened(empty).getextrema()) == (False, ((0, 0),) * 4)

    def test_a_crop_keeps_it(self, tmp_path: Path) -> None:
        """The frame grows by what it needs."""
        image = opened(remove(tmp_path, **self.OPTIONS, crop=True)[0])
        assert image.size == (120, 210)
        assert image.getpixel((119, 209))[3] > 100  # type: ignore[index]

    def test_its_colour_is_converted_to_the_photo_s_profile(self, tmp_path: Path) -> None:
        """The option's colour is sRGB; without conversion, a wide profile would make it glow."""
        wide = encoded(photo(), icc_profile=rgb_profile())
        image = opened(remove(tmp_path, wide, **self.OPTIONS, shadow_colour="red")[0])
        red, green, blue, _ = cast("tuple[int, ...]", image.getpixel(self.IN_SHADOW))
        assert 220 < red < 245, "Display P3's red is more than sRGB's"
        assert 30 < green < 70
        assert 20 < blue < 60


class TestLayers:
    """`output=layers`: the zip that remove.bg's clients join."""

    def layers(
        self, folder: Path, image: bytes | None = None, **options: Any
    ) -> tuple[Image.Image, Image.Image]:
        """Return the colours and the alpha."""
        result, _ = remove(folder, image, output="layers", **options)
        with zipfile.ZipFile(io.BytesIO(result)) as archive:
            assert archive.namelist() == ["color.jpg", "alpha.png"]
            assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}
            return opened(archive.read("color.jpg")), opened(archive.read("alpha.png"))

    def test_the_colours_are_the_photo_s_where_the_alpha_is_0(self, tmp_path: Path) -> None:
        """Black there would shine through at edges that are compressed or scaled."""
        image = Image.new("RGB", (64, 64), (0, 120, 0))
        image.paste("white", (16, 16, 48, 48))
        color, alpha = self.layers(tmp_path, encoded(image), roi="25% 25% 75% 75%")
        assert (color.format, color.mode, alpha.mode) == ("JPEG", "RGB", "L")
        assert alpha.getpixel((4, 4)) == 0
        assert color.getpixel((4, 4)) == pytest.approx((0, 120, 0), abs=6)

    @pytest.mark.parametrize(
        "options", [{}, {"shadow": "ground"}, {"background": "#11223344"}, {"crop": True}]
    )
    def test_the_alpha_is_that_of_the_png(self, tmp_path: Path, options: dict[str, Any]) -> None:
        """Joined, the two are the PNG, but for the JPEG's losses."""
        cutout = opened(remove(tmp_path, **options)[0])
        color, alpha = self.layers(tmp_path, **options)
        assert np.array_equal(np.asarray(alpha), np.asarray(cutout.getchannel("A")))
        visible = np.asarray(alpha) > 200
        difference = np.abs(np.asarray(color, int) - np.asarray(cutout.convert("RGB"), int))[visible]
        assert difference.mean() < 4

    def test_over_an_opaque_background_the_alpha_is_full(self, tmp_path: Path) -> None:
        """The colours are the finished picture then."""
        color, alpha = self.layers(tmp_path, background="#204060")
        assert alpha.getextrema() == (255, 255)
        assert color.getpixel((5, 5)) == pytest.approx((0x20, 0x40, 0x60), abs=4)


def test_a_canvas_beyond_the_limit_is_refused_before_inference(tmp_path: Path) -> None:
    """Nobody waits for a result that cannot be."""

    class Untouched(Light):
        def preprocess(self, *_: Any) -> Any:
            raise AssertionError

    (tmp_path / "source").write_bytes(encoded(photo()))
    options = RemovalOptions(canvas="4000x4000", scale="50%")
    job = RemovalJob("a", str(tmp_path / "source"), str(tmp_path / "result"), options)
    with pytest.raises(ResultTooLarge, match="4,000 x 4,000"):
        pipeline.remove(job, Untouched(), 10_000_000, lambda _percent, _message: None)
