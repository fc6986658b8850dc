"""Figures as fragments of HTML that refer to nothing outside of themselves."""

import base64
import html
import io
import re
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from deepsphere.plotting.page import THEME_VARIABLES

PNG_RESOLUTION = 192
"""Pixels per inch: twice what common screens show, enough for print."""
EMBEDDED_RESOLUTION = 144
"""Pixels per inch of the crowded parts of an SVG which are stored as an image."""
LARGE_SVG = 500_000
"""Characters above which an SVG is compared with a PNG; below, the text and theme of SVG win."""
_CSS_PIXELS_PER_POINT = 96 / 72
_MARGIN: dict[str, Any] = {"bbox_inches": "tight", "pad_inches": 0.04}
# the style sheet of matplotlib would apply to the whole page; ours says the same of figures only
_UNWANTED = r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->"
_WEBGL_TRACES = {"mesh3d", "scatter3d", "surface", "isosurface", "volume", "cone", "scattergl"}


def figure_html(figure: Figure, *, alt: str, prefix: str) -> str:
    """A matplotlib figure as an inline SVG, or as a PNG where that is large and smaller.

    Parameters
    ----------
    figure
        The figure; it is not changed.
    alt
        What the figure shows, for those who do not see it.
    prefix
        Put before all names inside of the SVG, so that two figures of a page do not mix.

    Returns
    -------
    str
        An ``svg`` or ``img`` element.

    Examples
    --------
    >>> figure = Figure(figsize=(1, 1))
    >>> figure_html(figure, alt="nothing", prefix="a-")[:24]
    '<svg role="img" aria-lab'
    """
    svg, width = _svg(figure, alt=alt, prefix=prefix)
    if len(svg) <= LARGE_SVG:
        return svg
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=PNG_RESOLUTION, metadata={"Software": None}, **_MARGIN)
    encoded = base64.b64encode(image.getvalue()).decode("ascii")
    if len(encoded) >= len(svg):
        return svg
    return (
        f'<img src="data:image/png;base64,{encoded}" alt="{html.escape(alt)}" '
        f'style="width:{width}px">'
    )


def plotly_html(figure: Any, *, identifier: str) -> str:
    """A plotly figure as data for the script of the report.

    Parameters
    ----------
    figure
        A ``plotly.graph_objects.Figure``.
    identifier
        The id of the element.

    Returns
    -------
    str
        A ``script`` element with JSON.
    """
    # a closing tag inside of the data would end the element
    data = figure.to_json().replace("</", "<\\/").replace("<!--", "<\\u0021--")
    return f'<script type="application/json" id="{identifier}">{data}</script>'


def needs_webgl(figure: Any) -> bool:
    """Whether a plotly figure has a trace that only WebGL draws."""
    return any(trace.type in _WEBGL_TRACES for trace in figure.data)


def plotly_script() -> str:
    """The plotly library as a ``script`` element."""
    from plotly.offline import get_plotlyjs

    library = get_plotlyjs().replace("</script", "<\\/script")
    return f"<script>{library}</script>"


def _svg(figure: Figure, *, alt: str, prefix: str) -> tuple[str, int]:
    """The figure as an SVG element in the colours of the page, and its width in pixels."""
    stream = io.StringIO()
    # text stays text: searchable, small, in the font of the page; names do not depend on the run
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "deepsphere"}):
        metadata = {"Date": None}
        figure.savefig(
            stream,
            format="svg",
            transparent=True,
            dpi=EMBEDDED_RESOLUTION,
            metadata=metadata,
            **_MARGIN,
        )
    text = re.sub(_UNWANTED, "", stream.getvalue(), flags=re.DOTALL)
    text = re.sub(r"<[^>]+>", lambda tag: _own_names(tag.group(), prefix), text)
    opening, body = text[text.index("<svg") :].split(">", 1)
    box = opening.split('viewBox="')[1].split('"')[0]
    width = round(float(box.split()[2]) * _CSS_PIXELS_PER_POINT)
    return (
        f'<svg role="img" aria-label="{html.escape(alt)}" viewBox="{box}" '
        f'style="width:{width}px">{body.strip()}'
    ), width


def _own_names(tag: str, prefix: str) -> str:
    """One tag of the SVG with names of its own and colours of the theme."""
    tag = tag.replace("xlink:href", "href")
    tag = re.sub(r'( id="| href="#|url\(#)', rf"\g<1>{prefix}", tag)
    for color, variable in THEME_VARIABLES.items():
        tag = tag.replace(color, variable)
    return tag
