"""Scripts that made the tables shipped with the program; the wheel leaves them out."""
