"""What to try next, given a model: arrays in, arrays out."""

from hpo_core.gp.criteria import (
    expected_improvement,
    log_expected_improvement,
    probability_of_improvement,
    thompson_draws,
    upper_confidence_bound,
)

__all__ = [
    "expected_improvement",
    "log_expected_improvement",
    "probability_of_improvement",
    "thompson_draws",
    "upper_confidence_bound",
]
