"""The reader of text tables: ECSV and CSV."""
