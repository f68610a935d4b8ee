"""The model on the workers, and one partition's prediction."""
