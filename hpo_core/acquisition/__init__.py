"""What to try next, given a model: arrays in, arrays out."""
