"""Arrays on disk: written from front to back, and read so that nothing missing passes for nulls."""
