"""Files of predictions never take the place of what they are made from."""

from pathlib import Path

import numpy as np
import pytest

from deepsphere.experiments.signal_files import predict_file
from deepsphere.graph import build_graph
from deepsphere.models import FCN
from deepsphere.sampling import Healpix
from deepsphere.training import save


@pytest.mark.parametrize("replaced", ["INPUT", "CHECKPOINT"])
def test_predictions_do_not_replace_what_they_are_made_from(tmp_path: Path, replaced: str) -> None:
    pyramid = build_graph(Healpix(2), num_neighbors=8).pyramid(num_levels=2)
    model = FCN(pyramid, in_channels=1, out_channels=2, channels=(2, 2), kernel_size=2)
    files = {"INPUT": tmp_path / "maps.npy", "CHECKPOINT": tmp_path / "model.npy"}
    save(files["CHECKPOINT"], model)
    np.save(files["INPUT"], np.zeros((1, 48, 1), np.float32))
    before = files[replaced].read_bytes()
    with pytest.raises(ValueError, match=f"OUTPUT must be another file than {replaced}, got .*;"):
        predict_file(files["CHECKPOINT"], files["INPUT"], files[replaced], overwrite=True)
    assert files[replaced].read_bytes() == before
