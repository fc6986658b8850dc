"""Networks to compare with, each given its best."""

from deepsphere.models.rivals.cnn2d import CNN2d, cnn2d_shapes
from deepsphere.models.rivals.cohen import Cohen, cohen_full, cohen_simplified
from deepsphere.models.rivals.cube_cnn import CubeCNN, cube_shapes
from deepsphere.models.rivals.esteves import Esteves, esteves
from deepsphere.models.rivals.healpix_image import block_image, block_vertices
from deepsphere.models.rivals.planar_cnn import PlanarCNN
from deepsphere.models.rivals.ugscnn import UGSCNN, ugscnn_mnist, ugscnn_modelnet40

__all__ = [
    "UGSCNN",
    "CNN2d",
    "Cohen",
    "CubeCNN",
    "Esteves",
    "PlanarCNN",
    "block_image",
    "block_vertices",
    "cnn2d_shapes",
    "cohen_full",
    "cohen_simplified",
    "cube_shapes",
    "esteves",
    "ugscnn_mnist",
    "ugscnn_modelnet40",
]
