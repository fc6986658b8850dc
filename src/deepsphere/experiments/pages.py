"""What the report pages of all experiments have in common."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int
from matplotlib.figure import Figure

from deepsphere.experiments.output import FIGURE_FOLDER, REPORT_FILE
from deepsphere.experiments.results import Results
from deepsphere.plotting import Picture, Report, plot_confusion
from deepsphere.training.progress import track

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


def save_confusion(
    output: Path,
    name: str,
    confusion: Int[np.ndarray, "classes classes"],
    classes: Sequence[str],
    *,
    title: str,
) -> None:
    """Draw a confusion matrix into the figures of a folder, as PNG.

    Parameters
    ----------
    output
        The folder, to which figures are a folder.
    name
        Of the file, without extension.
    confusion
        Counts; rows are the true classes.
    classes
        Their names.
    title
        What was classified.
    """
    folder = output / FIGURE_FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    figure = plot_confusion(confusion, classes, title=title)
    figure.savefig(folder / f"{name}.png", dpi=_RESOLUTION)


def write_sections(
    report: Report, sections: Sequence[Callable[[], None]], output: Path, *, progress: bool
) -> Path:
    """Write the sections of a report one after the other, and then the report.

    Parameters
    ----------
    report
        The page under construction.
    sections
        Each appends to it.
    output
        The folder of the experiment; an older report is replaced.
    progress
        Show a bar when it takes longer than two seconds.

    Returns
    -------
    Path
        The report.
    """
    shown = track(sections, "writing the report", total=len(sections)) if progress else sections
    for write_section in shown:
        write_section()
    return report.write(output / REPORT_FILE, overwrite=True)


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
