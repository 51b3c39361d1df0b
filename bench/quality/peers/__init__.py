"""One module per optimiser: ``create(problem, seed, settings)`` gives an ``Optimiser``."""
