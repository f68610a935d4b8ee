"""Tables of stars compared: two catalogues, one with what others made, one within clusters."""
