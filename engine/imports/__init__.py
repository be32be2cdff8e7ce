"""What files from outside say of people and events, read one line at a time into normal form, or refused with a place."""
