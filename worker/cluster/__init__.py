"""The cluster: one model on the nodes of a Ray cluster, behind the protocol of a worker process."""
