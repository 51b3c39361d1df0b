"""What must not get slower: instruction counts, growth with n, and ratios to NumPy in one run."""
