"""`python -m supervisor`: serve until told to stop."""

if __name__ == "__main__":
    # Imported here only: spawned children must not load the server.
    import gc
    import sys

    # What is imported stays: to look through it for garbage, again and again, takes an eighth of the start,
    # and would later hold up all clients at once.
    gc.disable()
    try:
        from supervisor.server import main
    except ImportError as error:  # a newer checkout over an older .venv, or another Python than .venv's
        mend = "'python3 scripts/bgremove.py remove PHOTO' installs what is needed into .venv"
        sys.exit(f"bgremove: {error}: {mend}")
    gc.freeze()
    gc.enable()

    main(sys.argv[1:])
