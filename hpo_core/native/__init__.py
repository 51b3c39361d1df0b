"""The only door to compiled code: a typed facade that checks, allocates and chooses the backend."""

from hpo_core.native import _backend
from hpo_core.native._backend import backend, build_id, info, simd_level, simd_levels
from hpo_core.native.threads import get_num_threads, parallel, set_num_threads

__all__ = [
    "backend",
    "build_id",
    "get_num_threads",
    "info",
    "parallel",
    "set_num_threads",
    "simd_level",
    "simd_levels",
]

_backend.require_native()
