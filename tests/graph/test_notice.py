"""The notice of long work."""

import logging

import pytest

from deepsphere.graph import build_graph, notice
from deepsphere.sampling import Healpix, RandomUniform


def test_short_work_is_silent(caplog):
    notice.announce("weights", notice.PATIENCE - 1)
    assert caplog.records == []


@pytest.mark.parametrize(("seconds", "text"), [(30.0, "30 seconds"), (1500.0, "25 minutes")])
def test_long_work_says_how_long_and_what_else_there_is(caplog, seconds, text):
    notice.announce("optimal weights of Healpix(nside=1024)", seconds)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    message = record.getMessage()
    assert message.startswith("solving for the optimal weights of Healpix(nside=1024) takes about")
    assert text in message
    assert "weights='gaussian'" in message


@pytest.mark.parametrize("sampling", [Healpix(nside=2), RandomUniform(30, seed=7)], ids=repr)
def test_both_solvers_announce_themselves(caplog, monkeypatch, sampling):
    monkeypatch.setattr(notice, "PATIENCE", 0.0)
    # a number of neighbors that no other test asks for: small graphs are kept in memory
    build_graph(sampling, num_neighbors=17)
    (record,) = caplog.records
    assert repr(sampling) in record.getMessage()
