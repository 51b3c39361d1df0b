"""Optuna: samplers of hpo_core for its studies, and copies of studies in both directions."""

try:
    import optuna as _optuna  # noqa: F401 - the modules below need it
except ImportError as error:
    raise ImportError("hpo_core.integrations.optuna needs Optuna: pip install 'hpo-core[optuna]'") from error

from hpo_core.integrations.optuna.adapter import objective
from hpo_core.integrations.optuna.sampler import HpoSampler
from hpo_core.integrations.optuna.studies import from_optuna, to_optuna

__all__ = ["HpoSampler", "from_optuna", "objective", "to_optuna"]
