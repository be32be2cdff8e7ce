"""Messages as the people who get them see them: a look per channel, in HTML without script."""
