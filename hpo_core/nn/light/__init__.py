"""Light convolutional architectures: their space, their costs and their construction."""

from hpo_core.nn.light.net import LightNet

__all__ = ["LightNet"]
