"""Deformable sampling in every dtype, at the sizes of real photos: coordinates above 256 have no gaps."""

import pytest
import torch
from torch import Tensor

from worker.birefnet.deform_conv import DeformableConv2d
from worker.birefnet.fused.sampling import TapOffsets, make_embedding_bag_sampler

SIZES = [(9, 1100), (1100, 9)]  # wide and tall, with more columns or rows than bfloat16 has integers
DTYPES = [torch.float32, torch.bfloat16, torch.float16]
ids = [str(dtype).removeprefix("torch.") for dtype in DTYPES]


def noise(seed: int, *shape: int) -> Tensor:
    """Return normally distributed values that bfloat16 and float16 hold exactly."""
    values = torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
    return values.to(torch.bfloat16).to(torch.float16).float()


@pytest.mark.parametrize("size", SIZES, ids=["wide", "tall"])
@pytest.mark.parametrize("dtype", DTYPES, ids=ids)
def test_samples_are_those_of_float32(dtype: torch.dtype, size: tuple[int, int]) -> None:
    """The values are rounded to the dtype, the positions are not."""
    pixels = noise(0, *size, 4)
    values = [2 * noise(kernel, *size, 3 * kernel**2) for kernel in (1, 3)]
    exact, ours = (
        make_embedding_bag_sampler(
            pixels.to(kind),
            [TapOffsets(kernel, each.to(kind)) for kernel, each in zip((1, 3), values, strict=True)],
        )(0, size[0])
        for kind in (torch.float32, dtype)
    )
    assert ours.shape == (size[0] * size[1], 10, 4)
    assert (exact - ours.float()).abs().max() < 0.08


@pytest.mark.parametrize("size", SIZES, ids=["wide", "tall"])
def test_a_tap_with_no_offset_samples_its_own_pixel(size: tuple[int, int]) -> None:
    """In bfloat16 at each end of a side, and zero outside; a part of the rows is those rows of the whole."""
    height, width = size
    pixels = noise(1, height, width, 2).bfloat16()
    values = torch.zeros(height, width, 27).bfloat16()  # modulation 2 x sigmoid(0) = 1
    sample = make_embedding_bag_sampler(pixels, [TapOffsets(3, values)])
    samples = sample(0, height).view(height, width, 9, 2)
    assert torch.equal(samples[:, :, 4], pixels)
    assert torch.equal(samples[1:, :, 1], pixels[:-1])  # the tap above
    assert torch.equal(samples[:, 1:, 3], pixels[:, :-1])  # the tap to the left
    assert not samples[0, :, :3].any()
    assert not samples[:, -1, 2::3].any()
    assert torch.equal(sample(3, 7).view(4, width, 9, 2), samples[3:7])


@pytest.mark.parametrize("size", SIZES, ids=["wide", "tall"])
def test_the_plain_convolution_samples_as_the_fused_one(size: tuple[int, int]) -> None:
    """With half-precision weights too: the golden files are of small images in float32."""
    height, width = size
    torch.manual_seed(0)
    block = DeformableConv2d(3, 5, 3).bfloat16()
    image = noise(2, 1, 3, height, width).bfloat16()
    with torch.inference_mode():
        offsets = block.offset_conv(image).unflatten(1, (-1, 2))
        values = torch.cat((offsets[:, :, 0], offsets[:, :, 1], block.modulator_conv(image)), 1)
        sample = make_embedding_bag_sampler(
            image[0].permute(1, 2, 0), [TapOffsets(3, values[0].permute(1, 2, 0))]
        )
        weight = block.regular_conv.weight.float().flatten(2)
        fused = torch.einsum("oct,ptc->op", weight, sample(0, height).float()).view(1, 5, height, width)
        assert (block(image).float() - fused).abs().max() < 0.03
