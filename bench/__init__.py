"""The measuring side of hpo_core; not part of the wheel. ``python -m bench --help``."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# ``python -m`` puts the checkout first on the path. What is measured is the installed package, so
# the checkout goes last: it serves only where nothing is installed.
sys.path[:] = [p for p in sys.path if Path(p).resolve() != ROOT] + [str(ROOT)]
