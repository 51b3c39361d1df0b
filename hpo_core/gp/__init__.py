"""Gaussian-process regression: the model, its fit, the criteria for new trials, and the sampler."""
