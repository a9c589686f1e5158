"""Roofline estimate: the lower bound ("floor") of a pass's time by its arithmetic, and benchmark goals."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

# Floating-point operations of one pass over 1024 x 1024 pixels, in 1e12.
TFLOP = {"swin_v1_t": 0.64, "swin_v1_l": 2.53}
FULL_SIZE = 1024  # the side, in pixels, that the goals are for
RATIO_GOALS = {
    ("swin_v1_t", "float32"): 1.9,
    ("swin_v1_t", "bfloat16"): 3.0,
    ("swin_v1_l", "float32"): 1.45,
    ("swin_v1_l", "bfloat16"): 2.0,
}
# Peak memory of one pass at 1024 x 1024 on a CPU, beyond that of an interpreter with torch imported.
MEMORY_GOALS_GB = {("swin_v1_t", "bfloat16"): 1.2, ("swin_v1_l", "bfloat16"): 2.0}
# One pass of swin_v1_l at 1024 x 1024 on an H100.
CUDA_TIME_GOAL_S = 0.015
CUDA_MEMORY_GOAL_GB = 2.0


@dataclass(frozen=True, slots=True)
class Goal:
    """An upper bound of a measurement; with `at_least`, a lower bound."""

    bound: float
    at_least: bool = False

    def is_met_by(self, value: float) -> bool:
        """Whether a measurement meets the goal."""
        return value >= self.bound if self.at_least else value <= self.bound

    def describe(self, value: float, unit: str = "") -> str:
        """Return the goal and whether `value` meets it, as a short text."""
        sign = ">=" if self.at_least else "<="
        return (
            f"goal {sign} {self.bound:g}{unit and ' ' + unit}: {'met' if self.is_met_by(value) else 'missed'}"
        )


def floor_s(backbone: str, height: int, width: int, flop_per_s: float) -> float:
    """Return the seconds that the arithmetic of one pass takes at this rate.

    Operations grow linearly with pixels, also those of attention, whose windows have a fixed size.
    """
    return TFLOP[backbone] * 1e12 * (height * width / FULL_SIZE**2) / flop_per_s


def machine_rate(rates: Mapping[str, float]) -> float:
    """Return the rate for the floor: that of the fastest product, since a floor is a lower bound of time."""
    return max(rates.values())


def shares(components_s: Mapping[str, float]) -> dict[str, float]:
    """Return each component's fraction of the total time."""
    total = sum(components_s.values())
    return {name: seconds / total if total else 0.0 for name, seconds in components_s.items()}


def ratio_goal(backbone: str, dtype: str, device: str, size: int) -> Goal | None:
    """Return the goal for time over floor; None for small inputs, whose overhead exceeds their arithmetic."""
    bound = RATIO_GOALS.get((backbone, dtype)) if device == "cpu" and size >= FULL_SIZE else None
    return Goal(bound) if bound else None


def time_goal_s(backbone: str, device: str, size: int) -> Goal | None:
    """Return the goal for the seconds of a pass on a GPU."""
    is_known = (backbone, device, size) == ("swin_v1_l", "cuda", FULL_SIZE)
    return Goal(CUDA_TIME_GOAL_S) if is_known else None


def memory_goal_gb(backbone: str, dtype: str, device: str, size: int) -> Goal | None:
    """Return the goal for the gigabytes of a pass: GPU memory, or on a CPU memory beyond torch itself."""
    if size != FULL_SIZE:
        return None
    if device == "cuda":
        return Goal(CUDA_MEMORY_GOAL_GB) if backbone == "swin_v1_l" else None
    bound = MEMORY_GOALS_GB.get((backbone, dtype))
    return Goal(bound) if bound else None


def throughput_retention(images_per_s: Iterable[float]) -> float:
    """Return the lowest throughput with more clients as a multiple of the first, with the fewest clients."""
    first, *others = images_per_s
    return min(others, default=first) / first
