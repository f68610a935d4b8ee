"""The networks, and their likelihood."""
