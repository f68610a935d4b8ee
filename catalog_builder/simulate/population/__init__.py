"""The stars: where they are, and what is true of them."""
