"""Making a given model smaller: channels pruned away, layers decomposed into thinner ones."""

from hpo_core.nn.compress.decompose import decompose
from hpo_core.nn.compress.plan import Compression
from hpo_core.nn.compress.prune import prune

__all__ = ["Compression", "decompose", "prune"]
