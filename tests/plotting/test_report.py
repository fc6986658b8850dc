"""A report is one valid file that needs nothing else, and is written whole or not at all."""

import re
import sys
from html.parser import HTMLParser
from unittest.mock import Mock

import numpy as np
import pytest
from matplotlib.figure import Figure

from deepsphere.plotting import Card, Picture, Report, globe, plot_map
from deepsphere.plotting.style import BLANK, INK, LINE, MUTED
from deepsphere.sampling import Healpix

SAMPLING = Healpix(nside=2)
VOID = {"meta", "link", "br", "img", "hr", "input"}
LOADING_ATTRIBUTES = {"src", "href", "srcset", "data", "poster", "action", "xlink:href"}


class Page(HTMLParser):
    """Elements, attributes and text of a page, with a check that tags are balanced."""

    def __init__(self, text):
        super().__init__()
        self.open, self.attributes, self.text, self.tags = [], [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attrs]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"script", "style"} & set(self.open):
            self.text.append(data)


@pytest.fixture(scope="module")
def drawing():
    return plot_map(np.asarray(SAMPLING.lat), SAMPLING, title="latitude", num_rows=40)


@pytest.fixture(scope="module")
def report(drawing):
    page = Report("Title <&>", subtitle='"Sub" <b>')
    page.cards([Card("accuracy", "97 %", "of 3 seeds", "good"), Card("size", "12")])
    page.section("First <i>")
    page.paragraph("One.\n\nTwo <script>alert(1)</script>.")
    page.table(["name", "a", "b"], [["x <u>", 1.5, "97.1 ± 0.3"], ["y", -2, "–"]], caption="C <s>")
    page.figure(drawing, alt='a "map"', caption="the map")
    page.section("Second")
    page.subsection("Part")
    page.row([Picture(drawing, "one"), Picture(drawing, "two", "caption")])
    page.interactive(
        globe(np.asarray(SAMPLING.lat), SAMPLING), alt="a globe", fallback=drawing, caption="turn"
    )
    page.interactive(globe(np.asarray(SAMPLING.lon), SAMPLING, title="</script>"), alt="another")
    page.details("more", "nside = 2\n<tag>")
    page.footer({"machine": "<two cores>", "seeds": 3})
    return page


def test_page_is_balanced_html(report):
    text = report.html()
    assert text.startswith("<!DOCTYPE html>")
    page = Page(text)
    for once in ("html", "head", "title", "body", "main", "h1", "nav"):
        assert page.tags.count(once) == 1


def test_page_refers_to_nothing_outside(report):
    page = Page(report.html())
    for tag, name, value in page.attributes:
        if name in LOADING_ATTRIBUTES:
            assert value.startswith(("#", "data:")), (tag, name, value[:80])
    styles = re.findall(r"<style>(.*?)</style>", report.html(), flags=re.DOTALL)
    assert "@import" not in "".join(styles)
    assert "url(" not in "".join(styles)
    policy = next(
        v for tag, n, v in page.attributes if tag == "meta" and n == "content" and "src" in v
    )
    assert policy.startswith("default-src 'none'")


def test_plotly_is_in_the_page_exactly_once(report):
    assert report.html().count("* plotly.js v") == 1


def test_page_without_interactive_view_has_no_script():
    page = Report("Plain")
    page.paragraph("text")
    assert "<script" not in page.html()
    assert len(page.html()) < 20_000


def test_text_is_escaped(report):
    page = Page(report.html())
    text = "".join(page.text)
    for piece in (
        "Title <&>",
        '"Sub" <b>',
        "First <i>",
        "<script>alert(1)</script>",
        "x <u>",
        "C <s>",
    ):
        assert piece in text
    assert "<two cores>" in text
    assert "<tag>" in text
    assert not {"b", "i", "u", "s", "tag"} & (set(page.tags) - {"b"})
    assert page.tags.count("b") == 2  # those of the cards


def test_data_cannot_close_their_script(report):
    # the title of the second globe holds a closing tag
    assert report.html().count("</script>") == report.html().count("<script")


def test_names_are_unique(report):
    names = [value for _, name, value in Page(report.html()).attributes if name == "id"]
    assert len(names) == len(set(names)) > 10


def test_references_inside_of_figures_lead_somewhere(report):
    page = Page(report.html())
    names = {value for _, name, value in page.attributes if name == "id"}
    pointers = {v[1:] for _, n, v in page.attributes if n == "href" and v.startswith("#")}
    pointers |= {m for _, _, v in page.attributes if v for m in re.findall(r"url\(#([^)]*)\)", v)}
    assert pointers
    assert pointers <= names


def test_figures_follow_the_theme_and_keep_their_text(report):
    svgs = re.findall(r"<svg role.*?</svg>", report.html(), flags=re.DOTALL)
    assert len(svgs) == 4
    for svg in svgs:
        assert "var(--ink)" in svg
        assert "latitude</text>" in svg
        assert not any(color in svg for color in (INK, MUTED, LINE, BLANK))
    assert "prefers-color-scheme: dark" in report.html()
    assert "@media print" in report.html()


def test_figures_are_described(report):
    page = Page(report.html())
    labels = [v for tag, n, v in page.attributes if tag == "svg" and n == "aria-label"]
    assert labels == ['a "map"', "one", "two", "a globe"]


def test_contents_name_the_sections(report):
    links = re.findall(r'<li><a href="#(section-\d)">(.*?)</a>', report.html())
    assert links == [("section-1", "First &lt;i&gt;"), ("section-2", "Second")]


def test_columns_of_numbers_are_aligned_to_the_right(report):
    assert '<td class="number">1.5</td><td class="number">97.1 ± 0.3</td>' in report.html()
    assert '<th scope="row">x &lt;u&gt;</th>' in report.html()


def test_large_drawing_becomes_the_smaller_image():
    rng = np.random.default_rng(0)
    figure = Figure(figsize=(3, 3))
    axes = figure.add_subplot()
    for _ in range(900):
        axes.plot(rng.normal(size=40))
    page = Report("Large")
    page.figure(figure, alt="many <lines>")
    assert '<img src="data:image/png;base64,' in page.html()
    assert 'alt="many &lt;lines&gt;"' in page.html()


def test_page_is_the_same_each_time():
    def build():
        page = Report("Same")
        page.figure(plot_map(np.asarray(SAMPLING.lat), SAMPLING, num_rows=20), alt="map")
        return page.html()

    assert build() == build()


def test_written_file_is_the_page(report, tmp_path):
    path = report.write(tmp_path / "folder" / "report.html")
    assert path.read_text(encoding="utf-8") == report.html()
    assert [p.name for p in path.parent.iterdir()] == ["report.html"]


def test_file_that_exists_is_not_replaced_unless_told(report, tmp_path):
    path = tmp_path / "report.html"
    path.write_text("mine")
    with pytest.raises(FileExistsError, match=r"path must not exist yet, got .*report\.html"):
        report.write(path)
    assert path.read_text() == "mine"
    report.write(path, overwrite=True)
    assert path.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


@pytest.mark.parametrize("failing", ["html", "replace"])
def test_file_survives_a_failure(report, tmp_path, monkeypatch, failing):
    path = tmp_path / "report.html"
    path.write_text("mine")

    def fail(*_):
        raise OSError("no space left")

    if failing == "html":
        monkeypatch.setattr(report, "html", fail)
    else:
        monkeypatch.setattr(sys.modules["os"], "replace", fail)
    with pytest.raises(OSError, match="no space left"):
        report.write(path, overwrite=True)
    assert path.read_text() == "mine"
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


def test_figure_without_description_is_rejected(drawing):
    with pytest.raises(ValueError, match="alt must describe the figure"):
        Report("R").figure(drawing, alt=" ")


def test_interactive_view_without_description_is_rejected():
    with pytest.raises(ValueError, match="alt must describe the figure"):
        Report("R").interactive(globe(np.asarray(SAMPLING.lat), SAMPLING), alt="")


def test_section_without_heading_is_rejected():
    with pytest.raises(ValueError, match="heading must not be empty"):
        Report("R").section("")


def test_ragged_table_is_rejected():
    with pytest.raises(ValueError, match="each of the 2 columns, got 1 in row 1"):
        Report("R").table(["a", "b"], [[1, 2], [3]])


def test_unknown_state_of_card_is_rejected():
    with pytest.raises(ValueError, match="state must be 'plain', 'good' or 'bad', got 'great'"):
        Card.__post_init__(Mock(state="great"))
