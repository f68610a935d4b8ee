"""The reader of Parquet."""
