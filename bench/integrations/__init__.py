"""How hpo_core does inside other people's loops."""
