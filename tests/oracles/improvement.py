"""Expected improvement by its definition, with mpmath; arguments are the exact values of doubles."""

import mpmath

# phi(z) + z Phi(z) loses a factor z^2, 1e16 at most, and numerical derivatives half of what is left.
DIGITS = 100


def _log_ei(mean, sd, best):
    z = (best - mean) / sd
    density = mpmath.exp(-z * z / 2) / mpmath.sqrt(2 * mpmath.pi)
    return mpmath.log(sd * (density + z * mpmath.erfc(-z / mpmath.sqrt(2)) / 2))


def log_ei(mean: float, sd: float, best: float):
    with mpmath.workdps(DIGITS):
        return _log_ei(mpmath.mpf(mean), mpmath.mpf(sd), mpmath.mpf(best))


def log_ei_slopes(mean: float, sd: float, best: float):
    """Derivatives with respect to mean and sd, by differences: no formula is shared with the code."""
    with mpmath.workdps(DIGITS):
        mean, sd, best = mpmath.mpf(mean), mpmath.mpf(sd), mpmath.mpf(best)
        step = sd / mpmath.mpf(10) ** 40
        return tuple(
            (_log_ei(mean + a, sd + b, best) - _log_ei(mean - a, sd - b, best)) / (2 * step)
            for a, b in ((step, 0), (0, step))
        )
