"""Gaussian-process regression: the model, its fit, what it says is worth trying, and the sampler."""
