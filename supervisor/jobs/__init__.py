"""Jobs: the queue of removals, the dispatcher that runs them, and the spool of their files."""
