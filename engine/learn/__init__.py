"""What came of it: reports and explanations."""
