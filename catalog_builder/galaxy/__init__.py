"""Where stars are in the Galaxy and how they move: frames, distances and their prior, velocities."""
