"""Several objectives and constraints: how much of the front is found after 25, 50 and 100 trials."""
