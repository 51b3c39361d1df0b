"""The covariance matrix adaptation evolution strategy (CMA-ES)."""
