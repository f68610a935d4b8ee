"""What a survey archive looks like, and how its files are found, checked and read."""
