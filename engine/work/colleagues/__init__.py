"""What colleagues say: about tasks, steps that wait for a yes, messages and ways nobody else can decide."""
