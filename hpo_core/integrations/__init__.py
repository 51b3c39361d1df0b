"""Other people's loops with hpo_core's suggestions."""
