"""How far any callable on signals is from commuting with rotations."""

from deepsphere.equivariance.per_layer import LayerError, layer_rotation_errors

__all__ = ["LayerError", "layer_rotation_errors"]
