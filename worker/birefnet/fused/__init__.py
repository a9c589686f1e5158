"""The fused network, used for inference; the plain one in `worker.birefnet` is its reference in tests."""

from worker.birefnet.fused.fused_model import FusedBiRefNet

__all__ = ["FusedBiRefNet"]
