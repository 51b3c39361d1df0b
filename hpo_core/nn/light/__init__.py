"""Light convolutional architectures: what may be built, what it costs, and building it."""

from hpo_core.nn.light.net import LightNet

__all__ = ["LightNet"]
