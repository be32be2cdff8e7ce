"""What a person types: a short function per command."""
