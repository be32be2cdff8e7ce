"""What should happen to a person now: values in, values out."""
