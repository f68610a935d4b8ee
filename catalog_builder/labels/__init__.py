"""Label surveys: each is a YAML description and one common reader."""
