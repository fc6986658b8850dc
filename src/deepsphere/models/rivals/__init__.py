"""Networks to compare with, each given its best."""

from deepsphere.models.rivals.cnn2d import CNN2d

__all__ = ["CNN2d"]
