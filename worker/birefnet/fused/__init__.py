"""The fused form of the network, which is what runs; the plain form is what it is tested against."""

from worker.birefnet.fused.model import FusedBiRefNet

__all__ = ["FusedBiRefNet"]
