"""The functions of _normal.pyx in numba; csrc/simd_normal.h explains symbols, tables and branches."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from hpo_core.native.numba_backend.philox import philox, uniforms_of_index, uniforms_of_trial

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

__all__ = [
    "erfcx",
    "log_mass",
    "log_ndtr",
    "ndtr",
    "ndtri",
    "philox",
    "truncated",
    "uniforms_of_index",
    "uniforms_of_trial",
]

INV_ROOT_TWO_PI = 0.3989422804014327
LOG_ROOT_TWO_PI = 0.9189385332046728
SMALLEST_NORMAL = 2.0**-1022
EXP_LIMIT = 708.0  # as in C, what would be subnormal is 0

# fmt: off
MILLS = np.array(
    [
        1.9280810471531575, -1.66786659518896, 1.241547061573877, -0.7859110755465453,
        0.41364471573217226, -0.17325473408715042, 0.05212550242182693, -0.007503282820678759,
        -0.0019999620670556138, 0.0013658591609424361, -0.00014883252854029768, -0.00012473565818721082,
        4.181269707272043e-05, 9.974780085542733e-06, -6.9405498481783575e-06, -8.360675980181407e-07,
        1.0865648093633823e-06, 9.668428357216325e-08, -1.6898908396071304e-07, -1.7398124277679196e-08,
        2.324918339616538e-08, 3.1868668438665133e-09, -1.968820796668673e-09, -3.336850487923168e-10,
    ]
)
CENTRE = np.array(
    [
        0.39894228040143265, -0.06649038006690379, 0.009973557009981386, -0.0011873282147876164,
        0.00011543468312705092, -9.444639510645421e-06, 6.659311872470124e-07, -4.1172593892638895e-08,
        2.22681333431858e-09, -9.020280857476202e-11,
    ]
)
CENTRAL = np.array(
    [
        [
            3.3871328727963666080e0, 1.3314166789178437745e2,
            1.9715909503065514427e3, 1.3731693765509461125e4,
            4.5921953931549871457e4, 6.7265770927008700853e4,
            3.3430575583588128105e4, 2.5090809287301226727e3,
        ],
        [
            1.0, 4.2313330701600911252e1,
            6.8718700749205790830e2, 5.3941960214247511077e3,
            2.1213794301586595867e4, 3.9307895800092710610e4,
            2.8729085735721942674e4, 5.2264952788528545610e3,
        ],
    ]
)
TAIL = np.array(
    [
        [
            1.42343711074968357734e0, 4.63033784615654529590e0,
            5.76949722146069140550e0, 3.64784832476320460504e0,
            1.27045825245236838258e0, 2.41780725177450611770e-1,
            2.27238449892691845833e-2, 7.74545014278341407640e-4,
        ],
        [
            1.0, 2.05319162663775882187e0,
            1.67638483018380384940e0, 6.89767334985100004550e-1,
            1.48103976427480074590e-1, 1.51986665636164571966e-2,
            5.47593808499534494600e-4, 1.05075007164441684324e-9,
        ],
    ]
)
FAR_TAIL = np.array(
    [
        [
            6.65790464350110377720e0, 5.46378491116411436990e0,
            1.78482653991729133580e0, 2.96560571828504891230e-1,
            2.65321895265761230930e-2, 1.24266094738807843860e-3,
            2.71155556874348757815e-5, 2.01033439929228813265e-7,
        ],
        [
            1.0, 5.99832206555887937690e-1,
            1.36929880922735805310e-1, 1.48753612908506148525e-2,
            7.86869131145613259100e-4, 1.84631831751005468180e-5,
            1.42151175831644588870e-7, 2.04426310338993978564e-15,
        ],
    ]
)
GAUSS = np.array(
    [
        [0.1834346424956498, 0.525532409916329, 0.7966664774136267, 0.9602898564975363],
        [0.362683783378362, 0.31370664587788727, 0.22238103445337448, 0.10122853629037626],
    ]
)
# fmt: on


@njit(cache=True)
def _poly(c: Array, x: float) -> float:
    y = float(c[-1])
    for i in range(len(c) - 2, -1, -1):
        y = y * x + c[i]
    return y


@njit(cache=True)
def _exp(x: float) -> float:
    return 0.0 if x < -EXP_LIMIT else math.exp(x)


@njit(cache=True)
def mills(z: float) -> float:
    """Q(z) / phi(z), z >= 0."""
    z = 1e300 if z > 1e300 else z  # inf - inf would be NaN
    w = 1.0 / (z + 5.0)
    return w * _poly(MILLS, (z - 5.0) * w)


@njit(cache=True)
def exp_square(z: float, scale: float) -> float:
    """exp(scale z²), z >= 0: Veltkamp's splitting makes the square of the upper half exact."""
    if z > 40.0:
        return 0.0 if scale < 0.0 else math.inf
    c = 134217729.0 * z
    upper = c - (c - z)
    rest = scale * (z - upper) * (z + upper)
    return _exp(scale * upper * upper) * (1.0 + rest * (1.0 + rest * (0.5 + rest * (1.0 / 6.0))))


@njit(cache=True)
def tail(z: float) -> float:
    """Q(z), z >= 0."""
    return exp_square(z, -0.5) * (INV_ROOT_TWO_PI * mills(z))


@njit(cache=True)
def log_tail(z: float) -> float:
    """Log of Q(z), z >= 0."""
    return math.log(mills(z)) - (0.5 * z * z + LOG_ROOT_TWO_PI)


@njit(cache=True)
def mass_and_tails(a: float, b: float) -> tuple[float, float, float]:
    """Phi(b) - Phi(a), Phi(a) and Q(b) for a <= 0 <= b."""
    below, above = tail(-a), tail(b)
    if b - a < 1.0:
        return b * _poly(CENTRE, b * b) - a * _poly(CENTRE, a * a), below, above
    return 1.0 - (below + above), below, above


@njit(cache=True)
def mass(a: float, b: float) -> float:
    """Phi(b) - Phi(a) for a <= 0 <= b."""
    return mass_and_tails(a, b)[0]


@njit(cache=True, error_model="numpy")
def tail_inverse(p: float) -> float:
    """The z >= 0 with Q(z) = p, 0 <= p <= 1/2 (AS 241)."""
    if p == 0.0:
        return math.inf
    q = 0.5 - p
    if q <= 0.425:
        r = 0.180625 - q * q
        return q * _poly(CENTRAL[0], r) / _poly(CENTRAL[1], r)
    root = math.sqrt(-math.log(max(p, SMALLEST_NORMAL)))
    if root <= 5.0:
        return _poly(TAIL[0], root - 1.6) / _poly(TAIL[1], root - 1.6)
    return _poly(FAR_TAIL[0], root - 5.0) / _poly(FAR_TAIL[1], root - 5.0)


@njit(cache=True)
def quantile(p: float, q: float) -> float:
    """The x with Phi(x) = p = 1 - q, from the smaller of the two."""
    return tail_inverse(q) if q < p else -tail_inverse(p)


@njit(cache=True)
def truncated_quantile(u: float, a: float, b: float) -> float:
    """The u-quantile of a standard normal truncated to [a, b], a <= 0 <= b."""
    inside, below, above = mass_and_tails(a, b)
    return min(max(quantile(below + u * inside, above + (1.0 - u) * inside), a), b)


@njit(cache=True)
def _refined_quantile(u: float) -> float:
    if not 0.0 <= u <= 1.0:
        return math.nan
    p = min(u, 1.0 - u)
    z = tail_inverse(p)
    if 1.0 < z < 37.6:
        z += (tail(z) - p) / (INV_ROOT_TWO_PI * exp_square(z, -0.5))
    return z if u > 0.5 else -z


@njit(cache=True)
def _log_mass_short(middle: float, length: float) -> float:
    total = 0.0
    for i in range(GAUSS.shape[1]):
        t = 0.5 * GAUSS[0, i] * length
        total += GAUSS[1, i] * math.exp(-0.5 * t * t) * math.cosh(t * middle)
    return math.log(length * total) - (0.5 * middle * middle + LOG_ROOT_TWO_PI)


@njit(cache=True, error_model="numpy")
def _log_mass(a: float, b: float) -> float:
    if not a <= b:
        return math.nan
    if a == b:
        return -math.inf
    length = b - a
    middle = a + 0.5 * length
    if length * (1.0 + abs(middle)) < 1.0:
        return _log_mass_short(middle, length)
    if a <= 0.0 <= b:
        return math.log1p(-(tail(-a) + tail(b)))
    near, far = min(abs(a), abs(b)), max(abs(a), abs(b))
    drop = 0.5 * (far - near) * (far + near) + math.log(mills(near) / mills(far))
    return log_tail(near) + math.log1p(-_exp(-drop))


@njit(cache=True, nogil=True)
def ndtr(x: Array, out: Array) -> None:
    """Phi(x)."""
    for i in range(x.size):
        q = tail(abs(x[i]))
        out[i] = 1.0 - q if x[i] > 0.0 else q


@njit(cache=True, nogil=True)
def log_ndtr(x: Array, out: Array) -> None:
    """Log of Phi(x)."""
    for i in range(x.size):
        out[i] = math.log1p(-tail(x[i])) if x[i] > 0.0 else log_tail(-x[i])


@njit(cache=True, nogil=True)
def erfcx(x: Array, out: Array) -> None:
    """exp(x²) erfc(x)."""
    for i in range(x.size):
        y = 2.0 * INV_ROOT_TWO_PI * mills(math.sqrt(2.0) * abs(x[i]))
        out[i] = 2.0 * exp_square(-x[i], 1.0) - y if x[i] < 0.0 else y


@njit(cache=True, nogil=True)
def ndtri(u: Array, out: Array) -> None:
    """The x with Phi(x) = u."""
    for i in range(u.size):
        out[i] = _refined_quantile(u[i])


@njit(cache=True, nogil=True)
def log_mass(a: Array, b: Array, out: Array) -> None:
    """Log of Phi(b) - Phi(a)."""
    for i in range(a.size):
        out[i] = _log_mass(a[i], b[i])


@njit(cache=True, nogil=True)
def truncated(u: Array, a: Array, b: Array, out: Array) -> None:
    """The u-quantile of a standard normal truncated to [a, b]."""
    for i in range(u.size):
        out[i] = truncated_quantile(u[i], a[i], b[i])
