"""A whole run: settings, steps in order, what they will need, what is left of them."""
