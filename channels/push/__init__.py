"""Push: a file for each service."""
