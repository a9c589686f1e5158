"""`python -m tests.integration.quick_revival_supervisor`: it soon tries a lost device again."""

if __name__ == "__main__":
    import sys

    from supervisor.server import main
    from supervisor.workers import revival

    revival.REVIVAL_S = (0.1, 0.2, 0.4, 0.4, 0.4)
    main(sys.argv[1:])
