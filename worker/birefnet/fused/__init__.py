"""The fused form of the network, which is what runs; the plain form is what it is tested against."""

from worker.birefnet.fused.fused_model import FusedBiRefNet

__all__ = ["FusedBiRefNet"]
