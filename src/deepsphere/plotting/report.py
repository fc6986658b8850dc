"""A report: text, numbers, tables and pictures in one HTML file that needs nothing else."""

import html
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from matplotlib.figure import Figure

from deepsphere.plotting.embedding import figure_html, needs_webgl, plotly_html, plotly_script
from deepsphere.plotting.page import HEAD, SCRIPT, STYLE_SHEET, emblem

_NUMBER = re.compile(r"[-+−]?[\d.,]+(e[-+]?\d+)?(\s?[%°])?(\s?±\s?[\d.,]+\s?%?)?|[–—-]?")


@dataclass(frozen=True)
class Card:
    """One key number of a report.

    Parameters
    ----------
    label
        What the number is.
    value
        The number with its unit, as it is to be read.
    note
        A remark in small print: the spread, the published value.
    state
        ``"good"`` and ``"bad"`` colour the number, ``"plain"`` does not.
    """

    label: str
    value: str
    note: str = ""
    state: Literal["plain", "good", "bad"] = "plain"

    def __post_init__(self) -> None:
        if self.state not in ("plain", "good", "bad"):
            raise ValueError(
                f"state must be 'plain', 'good' or 'bad', got {self.state!r}; choose one"
            )


@dataclass(frozen=True, eq=False)
class Picture:
    """A figure with its description and its caption, one of several in a row.

    Parameters
    ----------
    figure
        A matplotlib figure.
    alt
        What it shows, for those who do not see it.
    caption
        What is to be learned from it.
    """

    figure: Figure
    alt: str
    caption: str = ""


class Report:
    """A page under construction: its methods append to it, ``write`` makes the file.

    The file holds everything it shows (figures as inline SVG or PNG, plotly.js once if there is an
    interactive view), so that it can be mailed and read offline, in light or dark mode, on paper.
    All text is escaped: what looks like a tag is shown as it was given.

    Parameters
    ----------
    title
        Title of the report.
    subtitle
        A sentence under the title.
    language
        Language code of the text.

    Examples
    --------
    >>> report = Report("Spherical digits", subtitle="What was measured.")
    >>> report.section("Accuracy")
    >>> report.table(["model", "R/R [%]"], [["DeepSphere", 98.1]])
    >>> "98.1</td>" in report.html()
    True
    """

    def __init__(self, title: str, *, subtitle: str = "", language: str = "en") -> None:
        self._title = title
        self._subtitle = subtitle
        self._language = language
        self._sections: list[tuple[str, list[str]]] = [("", [])]
        self._footer: dict[str, str] = {}
        self._num_figures = 0
        self._is_interactive = False

    def section(self, heading: str) -> None:
        """Begin a section, which the table of contents names.

        Raises
        ------
        ValueError
            If the heading is empty.
        """
        if not heading.strip():
            raise ValueError("heading must not be empty, got ''; name what the section shows")
        self._sections.append((heading, []))

    def subsection(self, heading: str) -> None:
        """Begin a part of a section."""
        self._append(f"<h3>{html.escape(heading)}</h3>")

    def paragraph(self, text: str) -> None:
        """Append a paragraph of text; an empty line in it begins another paragraph."""
        for part in re.split(r"\n\s*\n", text.strip()):
            self._append(f"<p>{html.escape(part)}</p>")

    def cards(self, cards: Sequence[Card]) -> None:
        """Append key numbers side by side."""
        items = "".join(
            f'<div class="card {card.state}"><span class="label">{html.escape(card.label)}</span>'
            f"<b>{html.escape(card.value)}</b><span>{html.escape(card.note)}</span></div>"
            for card in cards
        )
        self._append(f'<div class="cards">{items}</div>')

    def table(
        self, columns: Sequence[str], rows: Sequence[Sequence[object]], *, caption: str = ""
    ) -> None:
        """Append a table; columns of numbers are aligned to the right.

        Parameters
        ----------
        columns
            Heads of the columns.
        rows
            Cells of each row, shown as ``str`` shows them; the first names the row.
        caption
            A sentence below the table.

        Raises
        ------
        ValueError
            If a row has more or fewer cells than there are columns.
        """
        for index, row in enumerate(rows):
            if len(row) != len(columns):
                raise ValueError(
                    f"rows must have one cell for each of the {len(columns)} columns, got "
                    f"{len(row)} in row {index}; fill it up with ''"
                )
        cells = [["" if cell is None else str(cell) for cell in row] for row in rows]
        numeric = [
            k > 0
            and any(row[k] for row in cells)
            and all(_NUMBER.fullmatch(row[k]) for row in cells)
            for k in range(len(columns))
        ]
        classes = [' class="number"' if is_number else "" for is_number in numeric]
        head = "".join(
            f'<th scope="col"{kind}>{html.escape(name)}</th>'
            for name, kind in zip(columns, classes, strict=True)
        )
        body = "".join(f"<tr>{_row(row, classes)}</tr>" for row in cells)
        self._append(
            f'<figure><div class="scroll"><table><thead><tr>{head}</tr></thead>'
            f"<tbody>{body}</tbody></table></div>{_caption(caption)}</figure>"
        )

    def figure(self, figure: Figure, *, alt: str, caption: str = "") -> None:
        """Append a matplotlib figure.

        Parameters
        ----------
        figure
            The figure; later changes of it are not seen.
        alt
            What it shows, for those who do not see it.
        caption
            What is to be learned from it.

        Raises
        ------
        ValueError
            If ``alt`` is empty.
        """
        self.row([Picture(figure, alt, caption)])

    def row(self, pictures: Sequence[Picture]) -> None:
        """Append figures side by side, which wrap on a narrow screen.

        Raises
        ------
        ValueError
            If the ``alt`` of a picture is empty.
        """
        figures = "".join(
            f"<figure>{self._still(item.figure, item.alt)}{_caption(item.caption)}</figure>"
            for item in pictures
        )
        self._append(f'<div class="row">{figures}</div>')

    def interactive(
        self, figure: Any, *, alt: str, fallback: Figure | None = None, caption: str = ""
    ) -> None:
        """Append a plotly figure, such as a globe.

        Parameters
        ----------
        figure
            A ``plotly.graph_objects.Figure``.
        alt
            What it shows, for those who do not see it.
        fallback
            A matplotlib figure in its place on paper, and in browsers without WebGL or scripts.
        caption
            What is to be learned from it.

        Raises
        ------
        ValueError
            If ``alt`` is empty.
        """
        still = "" if fallback is None else self._still(fallback, alt)
        self._num_figures += 1
        self._is_interactive = True
        webgl = "yes" if needs_webgl(figure) else "no"
        data = plotly_html(figure, identifier=f"view-{self._num_figures}")
        self._append(
            f'<figure class="view" data-webgl="{webgl}"><div class="globe">'
            f'<div class="live" role="img" aria-label="{_checked_alt(alt)}"></div>'
            f'<div class="still">{still}</div>'
            '<p class="notice">The interactive view needs a browser that runs scripts.</p>'
            f"{data}</div>{_caption(caption)}</figure>"
        )

    def details(self, summary: str, text: str) -> None:
        """Append text in a fixed font that is folded away until the reader opens it."""
        self._append(
            f"<details><summary>{html.escape(summary)}</summary>"
            f"<pre>{html.escape(text)}</pre></details>"
        )

    def footer(self, facts: Mapping[str, object]) -> None:
        """Add names and values, such as machine and versions, to the end of the page."""
        self._footer |= {str(name): str(value) for name, value in facts.items()}

    def html(self) -> str:
        """The whole page.

        Returns
        -------
        str
            A valid HTML5 document.
        """
        sections = [(title, parts) for title, parts in self._sections if title or parts]
        bodies, links = [], []
        for number, (heading, parts) in enumerate(sections):
            title = f"<h2>{html.escape(heading)}</h2>" if heading else ""
            bodies.append(f'<section id="section-{number}">{title}{"".join(parts)}</section>')
            if heading:
                links.append(f'<li><a href="#section-{number}">{html.escape(heading)}</a></li>')
        contents = f"<div><strong>Contents</strong><ol>{''.join(links)}</ol></div>" if links else ""
        scripts = f"{plotly_script()}\n<script>{SCRIPT}</script>" if self._is_interactive else ""
        subtitle = f"<p>{html.escape(self._subtitle)}</p>" if self._subtitle else ""
        head = HEAD.format(
            language=html.escape(self._language), title=html.escape(self._title), style=STYLE_SHEET
        )
        return (
            f'{head}<body>\n<header class="masthead"><div><h1>{html.escape(self._title)}</h1>'
            f"{subtitle}{emblem()}</div></header>\n"
            f'<div class="columns"><nav aria-label="Contents">{contents}</nav>\n'
            f"<main>{''.join(bodies)}</main></div>\n{self._footer_html()}{scripts}\n</body>\n</html>\n"
        )

    def write(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Write the page to a file, which appears only when it is complete.

        Parameters
        ----------
        path
            The file; missing folders are made.
        overwrite
            Whether a file that is there may be replaced.

        Returns
        -------
        Path
            The path of the file.

        Raises
        ------
        FileExistsError
            If the file is there and ``overwrite`` is false.
        """
        path = Path(path)
        if path.exists() and not overwrite:
            raise FileExistsError(
                f"path must not exist yet, got {path}; choose another name or pass overwrite=True"
            )
        page = self.html()
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
        try:
            with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as stream:
                stream.write(page)
            os.chmod(name, 0o644)  # mkstemp makes files that only their owner may read
            os.replace(name, path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        return path

    def _append(self, fragment: str) -> None:
        """Put a fragment at the end of the last section."""
        self._sections[-1][1].append(fragment + "\n")

    def _still(self, figure: Figure, alt: str) -> str:
        """A matplotlib figure with names that no other figure of the page has."""
        _checked_alt(alt)
        self._num_figures += 1
        return figure_html(figure, alt=alt, prefix=f"f{self._num_figures}-")

    def _footer_html(self) -> str:
        """The facts at the end of the page."""
        if not self._footer:
            return ""
        items = "".join(
            f"<div><dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd></div>"
            for name, value in self._footer.items()
        )
        return f"<footer><dl>{items}</dl></footer>\n"


def _checked_alt(alt: str) -> str:
    """The escaped description of a figure, which must not be missing."""
    if not alt.strip():
        raise ValueError(
            "alt must describe the figure for readers who do not see it, got ''; say what it shows"
        )
    return html.escape(alt)


def _caption(text: str) -> str:
    """The caption of a figure, if there is any."""
    return f"<figcaption>{html.escape(text)}</figcaption>" if text else ""


def _row(cells: Sequence[str], classes: Sequence[str]) -> str:
    """One row of a table, headed by its first cell."""
    first = f'<th scope="row">{html.escape(cells[0])}</th>' if cells else ""
    return first + "".join(
        f"<td{kind}>{html.escape(cell)}</td>"
        for cell, kind in zip(cells[1:], classes[1:], strict=True)
    )
