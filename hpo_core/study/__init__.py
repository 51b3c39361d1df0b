"""Study: ask, tell, optimize, and functions for stored studies."""

from hpo_core.analysis.savings import savings
from hpo_core.study.description import find
from hpo_core.study.overview import overview, summary
from hpo_core.study.stored import ReadOnlyStudy, check, delete
from hpo_core.study.study import Study

__all__ = ["ReadOnlyStudy", "Study", "check", "delete", "find", "overview", "savings", "summary"]
