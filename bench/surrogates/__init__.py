"""A Gaussian process's cold fit, beside the peers', scored by one oracle."""
