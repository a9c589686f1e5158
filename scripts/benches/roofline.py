"""The least time that a pass can take, by its arithmetic, and the goals beside what was measured."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

# Multiplications and additions of one pass over 1024 x 1024 pixels, in 1e12.
TFLOP = {"swin_v1_t": 0.64, "swin_v1_l": 2.53}
FULL_SIZE = 1024  # the side, in pixels, that the goals are for
RATIO_GOALS = {
    ("swin_v1_t", "float32"): 1.9,
    ("swin_v1_t", "bfloat16"): 3.0,
    ("swin_v1_l", "float32"): 1.45,
    ("swin_v1_l", "bfloat16"): 2.0,
}
# Gigabytes beyond those of an interpreter with torch imported, for one pass at 1024 x 1024 on a CPU.
MEMORY_GOALS_GB = {("swin_v1_t", "bfloat16"): 1.2, ("swin_v1_l", "bfloat16"): 2.0}
# One pass of swin_v1_l at 1024 x 1024 on an H100.
CUDA_TIME_GOAL_S = 0.015
CUDA_MEMORY_GOAL_GB = 2.0


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound that a measure is to stay within; for throughput, one it is to reach."""

    bound: float
    at_least: bool = False

    def met_by(self, value: float) -> bool:
        """Tell whether a measure is good enough."""
        return value >= self.bound if self.at_least else value <= self.bound

    def beside(self, value: float, unit: str = "") -> str:
        """Return the goal and the verdict on `value` in a few words."""
        sign = ">=" if self.at_least else "<="
        return f"goal {sign} {self.bound:g}{unit and ' ' + unit}: {'met' if self.met_by(value) else 'missed'}"


def floor_s(backbone: str, height: int, width: int, flop_per_s: float) -> float:
    """Return the seconds that the arithmetic of one pass takes at the machine's rate.

    Work grows with the pixels; that of attention too, since its windows keep their size.
    """
    return TFLOP[backbone] * 1e12 * (height * width / FULL_SIZE**2) / flop_per_s


def machine_rate(rates: Mapping[str, float]) -> float:
    """Return the rate that the floor goes by: the fastest product, since a floor is what cannot be beaten."""
    return max(rates.values())


def shares(components_s: Mapping[str, float]) -> dict[str, float]:
    """Return each component's share of them all, 0 to 1."""
    total = sum(components_s.values())
    return {name: seconds / total if total else 0.0 for name, seconds in components_s.items()}


def ratio_goal(backbone: str, dtype: str, device: str, size: int) -> Goal | None:
    """Return how many times its floor a pass may take; a smaller one is more overhead than arithmetic."""
    bound = RATIO_GOALS.get((backbone, dtype)) if device == "cpu" and size >= FULL_SIZE else None
    return Goal(bound) if bound else None


def time_goal_s(backbone: str, device: str, size: int) -> Goal | None:
    """Return how many seconds a pass may take on a GPU."""
    is_known = (backbone, device, size) == ("swin_v1_l", "cuda", FULL_SIZE)
    return Goal(CUDA_TIME_GOAL_S) if is_known else None


def memory_goal_gb(backbone: str, dtype: str, device: str, size: int) -> Goal | None:
    """Return how many gigabytes a pass may need: the GPU's on one, else memory beyond torch itself."""
    if size != FULL_SIZE:
        return None
    if device == "cuda":
        return Goal(CUDA_MEMORY_GOAL_GB) if backbone == "swin_v1_l" else None
    bound = MEMORY_GOALS_GB.get((backbone, dtype))
    return Goal(bound) if bound else None


def holds(images_per_s: Iterable[float]) -> float:
    """Return the least throughput with more clients as a multiple of that with the fewest, the first."""
    first, *others = images_per_s
    return min(others, default=first) / first
