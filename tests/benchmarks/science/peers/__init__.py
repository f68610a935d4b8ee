"""Other ways to the same labels, from the same inputs and the same stars."""
