"""SMS: a file for each service."""
