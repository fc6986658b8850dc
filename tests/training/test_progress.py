"""Progress bars: after a while, on the standard error, and without touching the items."""

import pytest

from deepsphere.training.progress import track


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the standard error look like a terminal."""
    monkeypatch.setenv("FORCE_COLOR", "1")


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize("delay", [-1.0, 1e9])
def test_bar_appears_after_the_delay(delay: float, capfd: pytest.CaptureFixture[str]) -> None:
    items = list(track(iter(range(5)), "counting", total=5, delay=delay))
    shown = capfd.readouterr()
    assert items == [0, 1, 2, 3, 4]
    assert shown.out == ""
    assert ("counting" in shown.err) == (delay < 0)


@pytest.mark.usefixtures("terminal")
def test_bar_is_taken_away_when_the_loop_is_left(capfd: pytest.CaptureFixture[str]) -> None:
    items = track(range(5), "counting", total=5, delay=-1.0)
    next(items)
    next(items)
    items.close()
    assert capfd.readouterr().err.endswith("\x1b[2K")  # the line is erased
