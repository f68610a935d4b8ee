"""What everything stands on: errors, bounded documents, digests, where descriptions lie."""
