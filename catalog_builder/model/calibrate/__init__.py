"""How sigma is made honest, and how it is measured."""
