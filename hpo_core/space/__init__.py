"""Search spaces: parameters, conditions, and the way between values and coordinates."""

from hpo_core.space.expressions import Expression, param
from hpo_core.space.parameters import Categorical, Float, Int, Ordinal, Parameter
from hpo_core.space.space import Space

__all__ = ["Categorical", "Expression", "Float", "Int", "Ordinal", "Parameter", "Space", "param"]
