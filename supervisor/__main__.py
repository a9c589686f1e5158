"""`python -m supervisor`: serve until told to stop."""

if __name__ == "__main__":
    # Imported here only: spawned children must not load the server.
    import gc
    import sys

    # What is imported stays: to look through it for garbage, again and again, takes a sixth of the start, and
    # would later hold up all clients at once.
    gc.disable()
    from supervisor.server import main

    gc.freeze()
    gc.enable()
    main(sys.argv[1:])
