"""`python -m supervisor`: serve until told to stop."""

if __name__ == "__main__":
    # Imported here only: spawned children must not load the server.
    import os
    import sys

    from supervisor.server import main

    code = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    # Everything is closed by now; to take each module apart would cost Python another fifth of a second.
    os._exit(code)
