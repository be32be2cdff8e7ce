"""What files from outside say of people and events, read line by line into normal form, or refused with a place."""
