"""Jobs: the queue of removals, the dispatcher that runs them, the tasks and files that clients see."""
