"""`python -m supervisor`: serve until a signal."""

if __name__ == "__main__":
    # Imported here only: spawned children must not load the server.
    import sys

    from shared.gc_pause import pause_gc

    try:
        with pause_gc():
            from supervisor.server import main
    except ImportError as error:  # a newer checkout over an older .venv, or another Python than .venv's
        fix = "'python3 scripts/bgremove.py remove PHOTO' installs what is needed into .venv"
        sys.exit(f"bgremove: {error}: {fix}")

    main(sys.argv[1:])
