"""What instruments see of the stars."""
