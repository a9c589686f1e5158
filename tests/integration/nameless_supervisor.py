"""`python -m tests.integration.nameless_supervisor`: on a machine whose name server never answers."""

if __name__ == "__main__":
    import socket
    import sys
    import time
    from typing import Any

    from supervisor.server import main

    def unanswered(*_: Any, **__: Any) -> None:
        """Wait as the system does that asks again and again."""
        sys.stderr.write("asked in vain\n")
        time.sleep(60)

    sys.modules["uvloop"] = None  # type: ignore[assignment]  # it asks the system without Python's help
    socket.getaddrinfo = unanswered  # type: ignore[assignment]
    main(sys.argv[1:])
