"""`python -m tests.integration.quick_backoff_supervisor`: a supervisor that hardly waits between restarts."""

if __name__ == "__main__":
    import sys

    from supervisor.server import main
    from supervisor.workers import restart_policy

    restart_policy.BACKOFF_S = (0.0, 0.05, 0.05, 0.05, 0.05)
    main(sys.argv[1:])
