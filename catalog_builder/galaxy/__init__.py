"""Where stars are in the Galaxy and how they move: frames, distances, their prior, velocities."""
