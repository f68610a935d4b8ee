"""What an archive is, and whether it is what its description says."""
