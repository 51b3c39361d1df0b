"""Hyperparameter optimisation on native kernels."""

__version__ = "0.1.0"
