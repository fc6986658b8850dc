"""Shapes and types of every annotation are checked while the tests run."""

import os
import tempfile
from collections.abc import Iterator

import jaxtyping
import pytest
import torch
from jaxtyping import install_import_hook

install_import_hook("deepsphere", "beartype.beartype")

# without a GPU, Triton runs its kernels in Python; it reads this once, when it is imported
if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"

# tests are small: threads that wait for each other on a shared machine cost more than they bring
torch.set_num_threads(1)

# graphs that take long to build are built once per session, and never in the user's cache; also
# for the processes that tests start
_CACHE = tempfile.TemporaryDirectory(prefix="deepsphere-tests-")
os.environ["DEEPSPHERE_CACHE"] = _CACHE.name


@pytest.fixture
def unchecked() -> Iterator[None]:
    """No runtime checks of annotations: a caller of the installed package has none either."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
