"""What authors write: its models, its graph, and every mistake at its line."""
