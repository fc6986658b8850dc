"""What the report pages of all experiments have in common."""

import json
from pathlib import Path

from matplotlib.figure import Figure

from deepsphere.experiments.results import Results
from deepsphere.plotting import Picture, Report

_RESOLUTION = 160  # dots per inch


class ReportPage:
    """A report with a folder of its figures: every picture goes to both, as PNG there.

    Parameters
    ----------
    report
        The page under construction.
    folder
        Where the figures go; made if it is missing.
    """

    def __init__(self, report: Report, folder: Path) -> None:
        self.report = report
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def picture(self, figure: Figure, name: str, *, alt: str, caption: str = "") -> Picture:
        """A figure for the page, saved on the way.

        Parameters
        ----------
        figure
            A matplotlib figure.
        name
            Of its file, without extension.
        alt, caption
            As in `Picture`.

        Returns
        -------
        Picture
        """
        figure.savefig(self._folder / f"{name}.png", dpi=_RESOLUTION)
        return Picture(figure, alt, caption)

    def figure(self, figure: Figure, name: str, *, alt: str, caption: str = "") -> None:
        """Append a figure, with the arguments of `picture`."""
        self.report.row([self.picture(figure, name, alt=alt, caption=caption)])


def write_reproduction(report: Report, results: Results) -> None:
    """Append how to do it again, and on what it was done.

    Parameters
    ----------
    report
        The page under construction.
    results
        With command, recipe, machine and versions.
    """
    report.section("How to reproduce")
    report.paragraph("The command, typed in the folder that holds output/, is:")
    report.details(results.command, results.command)
    report.details("Recipe", json.dumps(results.recipe, indent=2, ensure_ascii=False))
    report.footer({**results.machine, **results.versions})
