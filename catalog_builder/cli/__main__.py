"""Run the program as ``python -m catalog_builder.cli``."""

from catalog_builder.cli import main

main()
