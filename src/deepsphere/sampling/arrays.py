"""The type of signals that are numpy arrays or torch tensors."""

from typing import TypeVar

import numpy as np
from torch import Tensor

Array = TypeVar("Array", np.ndarray, Tensor)
