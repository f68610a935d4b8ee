"""How unlike the training stars a star is."""
