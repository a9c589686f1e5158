"""A supervisor with lists of a test's own: `python -m tests.integration.scratch_supervisor ROOT NAME…`.

The names are those of the packages that the status has rows for.
"""

if __name__ == "__main__":
    import sys
    from pathlib import Path

    from supervisor.environment.requirements import PackageLists
    from supervisor.server import main

    root, *names = sys.argv[1:]
    main([], PackageLists(Path(root), tuple((name, name) for name in names)))
