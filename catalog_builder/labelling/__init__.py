"""Labels for a user's own stars: by their ids, or from their own spectra."""
