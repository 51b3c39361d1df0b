"""One module per optimiser: ``create(problem, seed, settings, n_trials)`` gives an ``Optimiser``."""
