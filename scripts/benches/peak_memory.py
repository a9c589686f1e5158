"""How much memory this process has, and has had at most, resident."""

from pathlib import Path

STATUS = Path("/proc/self/status")
CLEAR_REFS = Path("/proc/self/clear_refs")
FORGET_PEAK = "5"  # proc(5): resets VmHWM to what is resident now


def start_of_peak() -> int | None:
    """Forget the peak until now; return the bytes resident, None where the system does not tell."""
    try:
        CLEAR_REFS.write_text(FORGET_PEAK)
    except OSError:  # not Linux, or a sandbox that does not let it
        return None
    return _bytes("VmRSS")


def peak() -> int | None:
    """Return the most bytes that were resident since `start_of_peak`."""
    return _bytes("VmHWM")


def _bytes(name: str) -> int | None:
    try:
        lines = STATUS.read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:")), None)
