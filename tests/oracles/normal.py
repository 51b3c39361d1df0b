"""The normal distribution with mpmath, 40 digits; arguments are the exact values of doubles."""

import mpmath

DIGITS = 40


def _exact(f):
    def wrapped(*arguments: float):
        with mpmath.workdps(DIGITS):
            return f(*(mpmath.mpf(float(argument)) for argument in arguments))

    return wrapped


@_exact
def tail(z):
    """1 - Phi(z)."""
    return mpmath.erfc(z / mpmath.sqrt(2)) / 2


@_exact
def log_ndtr(x):
    return mpmath.log1p(-tail(x)) if x > 0 else mpmath.log(tail(-x))


@_exact
def erfcx(x):
    return mpmath.exp(x * x) * mpmath.erfc(x)


def mass(a: float, b: float):
    """Phi(b) - Phi(a); digits that cancel between neighbouring tails are bought back with precision."""
    with mpmath.workdps(3 * DIGITS):
        low, high = (mpmath.mpf(float(end)) / mpmath.sqrt(2) for end in ((-b, -a) if b < 0 else (a, b)))
        return (mpmath.erfc(low) - mpmath.erfc(high)) / 2


def log_mass(a: float, b: float):
    with mpmath.workdps(DIGITS):
        return mpmath.log(mass(a, b))
