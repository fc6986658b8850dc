"""Fields of files and data sets: which sampling they lie on, signals of them, and back.

xarray is imported when a function needs it.
"""

from deepsphere.fields.channels import from_xarray
from deepsphere.fields.files import is_dataset_path, open_dataset
from deepsphere.fields.layout import GridLayout
from deepsphere.fields.recognition import layout_of_dataset, sampling_from_dataset
from deepsphere.fields.values import Channel, Fields

__all__ = [
    "Channel",
    "Fields",
    "GridLayout",
    "from_xarray",
    "is_dataset_path",
    "layout_of_dataset",
    "open_dataset",
    "sampling_from_dataset",
]
