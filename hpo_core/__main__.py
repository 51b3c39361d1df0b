"""``python -m hpo_core``: the command line."""

import sys

from hpo_core.cli import main

sys.exit(main())
