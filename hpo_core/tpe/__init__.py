"""The Tree-structured Parzen Estimator: the model of good and bad trials, and the sampler."""
