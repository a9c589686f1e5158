"""The devices that workers compute on, as `BGREMOVE_DEVICE` names them."""

import re
from dataclasses import dataclass

from shared.cores import count_cores

MAX_CPU_WORKERS = 64
_NAME = re.compile(r"auto|mps|cuda(:\d+)?|cpu(?:\*(?P<count>\d+))?")


@dataclass(frozen=True, slots=True)
class Device:
    """A device for one worker of each model. `name` is unique: "cuda:0", "cpu", and of several "cpu:1".

    `threads` is how many of the CPU's cores the worker may use, None for all. `is_auto`: the worker chooses
    the device at its start; the machine's other ones of that kind are added then.
    """

    name: str
    threads: int | None = None
    is_auto: bool = False

    @property
    def torch_name(self) -> str:
        """The name that PyTorch knows, or "auto"."""
        if self.is_auto or self.is_cluster:
            return "auto"
        return "cpu" if self.is_cpu else self.name

    @property
    def is_cluster(self) -> bool:
        """Whether it stands for the nodes of a cluster, behind one bridge process."""
        return self.name == "cluster"

    @property
    def is_cpu(self) -> bool:
        """Whether it is the CPU, or a part of it."""
        return self.name.partition(":")[0] == "cpu"


CPU = Device("cpu")
CLUSTER = Device("cluster")


def parse_devices(text: str) -> tuple[Device, ...]:
    """Return the devices of a list such as "auto", "cuda:0,cuda:1" or "cpu*2", which divides the cores.

    "none" is for a service whose devices are those of a cluster. Raises ValueError.
    """
    if text == "none":
        return ()
    devices: list[Device] = []
    for part in text.split(","):
        devices += _parse_device(part.strip())
    names = [device.name for device in devices]
    if len(set(names)) < len(names):
        raise ValueError("a device comes twice")
    if "auto" in names and len(names) > 1:
        raise ValueError("auto stands alone: it takes every device that works")
    return tuple(devices)


def _parse_device(name: str) -> list[Device]:
    match = _NAME.fullmatch(name)
    if match is None:
        raise ValueError(
            f"there is no device {name!r}: auto, cpu, cpu*2, mps, cuda, a list such as cuda:0,cuda:1, or none"
        )
    if match["count"] is None:
        return [Device(name, is_auto=name == "auto")]
    count = int(match["count"])
    if not 1 <= count <= MAX_CPU_WORKERS:
        raise ValueError(f"cpu*{count}: from 1 to {MAX_CPU_WORKERS} workers can share the CPU")
    threads = max(1, count_cores() // count)
    return [Device(f"cpu:{number}", threads) for number in range(count)]
