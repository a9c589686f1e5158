"""What a person who starts the server at a terminal reads first."""

from supervisor import __version__
from supervisor.container import Address
from supervisor.settings import Settings


def make_banner(settings: Settings, address: Address) -> str:
    """Return version, the page's address, the data folder, the model and the device, as lines."""
    local = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address.host, address.host)  # noqa: S104
    host = f"[{local}]" if ":" in local else local
    return (
        f"bgremove {__version__}\n"
        f"  open    http://{host}:{address.port}\n"
        f"  data    {settings.data_dir}\n"
        f"  model   {settings.model}\n"
        f"  device  {settings.device}\n"
        "  stop    Ctrl-C\n"
    )
