"""The TPE model behind its door: groups of Parzen mixtures, pools of candidates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hpo_core.native._backend import module

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hpo_core.native.domain import Domain


def new_model(domain, columns, settings, seed, max_joined, max_failed):
    return module("tpe").Model(domain.handle, columns, settings, seed, max_joined, max_failed)


def new_pool(model, m):
    return module("tpe").Pool(model, m)
