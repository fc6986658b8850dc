"""What `deepsphere info` says of a sampling."""

import pytest

from deepsphere.experiments.catalog import describe_sampling


def test_more_neighbors_than_vertices_are_refused_and_the_default_adapts():
    with pytest.raises(ValueError, match=r"number of vertices \(12\), got 20"):
        describe_sampling("healpix:1", num_neighbors=20)
    assert "11 nearest neighbors" in dict(describe_sampling("healpix:1"))["graph"]
