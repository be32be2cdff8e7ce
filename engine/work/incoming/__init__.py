"""What comes in from outside: people, events, files, codes, and what people do with the links in their messages."""
