"""`python -m supervisor`: serve until told to stop."""

if __name__ == "__main__":
    # Imported here only: spawned children must not load the server.
    import sys

    from supervisor.server import main

    main(sys.argv[1:])
