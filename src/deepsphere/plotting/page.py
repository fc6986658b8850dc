"""The fixed parts of a report: its style sheet, its script, its frame.

Nothing here refers to anything outside of the file: the content policy in the head would not even
let a browser load it.
"""

import json

import numpy as np

from deepsphere.plotting.projections import View, graticule_lines
from deepsphere.plotting.style import BLANK, INK, LINE, MUTED

THEME_VARIABLES = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    LINE: "var(--line)",
    BLANK: "var(--blank)",
}
"""Colours of figures that follow the theme of the reader."""

STYLE_SHEET = """
:root {
  color-scheme: light dark;
  --paper: #ffffff; --panel: #f6f8fa; --ink: #1c2733; --muted: #5c6773; --line: #cdd4dc;
  --blank: #e1e6ec; --accent: #0b6299; --good: #00776b; --bad: #b3341f;
  --sans: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  --serif: Charter, "Bitstream Charter", "Iowan Old Style", "Palatino Linotype", Georgia, serif;
  --mono: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #11161c; --panel: #192029; --ink: #e4e8ed; --muted: #9aa6b2; --line: #3b4652;
    --blank: #2a323c; --accent: #6fb8e8; --good: #4cc2b4; --bad: #f08a74;
  }
}
* { box-sizing: border-box; }
html { scroll-behavior: smooth; -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 1rem/1.6 var(--sans); }
a { color: var(--accent); text-underline-offset: .15em; }
h1, h2, h3 { font-family: var(--serif); font-weight: 600; line-height: 1.2; text-wrap: balance; }
h1 { font-size: clamp(1.9rem, 1.3rem + 2.4vw, 2.9rem); margin: 0 0 .5rem; letter-spacing: -.01em; }
h2 { font-size: 1.6rem; margin: 0 0 1rem; }
h3 { font-size: 1.15rem; margin: 2rem 0 .6rem; }
p { margin: 0 0 1rem; max-width: 42rem; overflow-wrap: break-word; }
.masthead { border-bottom: 1px solid var(--line); background: var(--panel); overflow: hidden; }
.masthead > div { max-width: 76rem; margin: 0 auto; padding: 3rem 1.5rem 2.6rem;
  position: relative; }
.masthead p { font-size: 1.15rem; color: var(--muted); margin: 0; }
.masthead h1, .masthead p { max-width: min(44rem, 78%); }
.emblem { position: absolute; right: 1.5rem; top: 50%; width: 15rem; translate: 12% -50%; }
.emblem path { fill: none; stroke: var(--accent); stroke-width: .011; opacity: .4; }
.columns { max-width: 76rem; margin: 0 auto; padding: 0 1.5rem; }
nav { font-size: .92rem; padding: 1.4rem 0 0; }
nav strong { font: 600 .75rem var(--sans); letter-spacing: .08em; text-transform: uppercase;
  color: var(--muted); }
nav ol { list-style: none; margin: .5rem 0 0; padding: 0; display: flex; flex-wrap: wrap;
  gap: .2rem 1.3rem; }
nav a { color: var(--ink); text-decoration: none; }
nav a:hover, nav a:focus-visible { color: var(--accent); text-decoration: underline; }
main { min-width: 0; padding: 1rem 0 3rem; }
section { padding: 1.8rem 0 1.2rem; scroll-margin-top: .5rem; }
section + section { border-top: 1px solid var(--line); }
@media (min-width: 70rem) {
  .columns { display: grid; grid-template-columns: 11.5rem minmax(0, 1fr); gap: 3.5rem; }
  nav { padding-top: 3rem; }
  nav > div { position: sticky; top: 1.8rem; }
  nav ol { flex-direction: column; gap: .45rem; }
}
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(10.5rem, 45%), 1fr));
  gap: .9rem; margin: .4rem 0 1.6rem; }
.card { background: var(--panel); border: 1px solid var(--line); border-radius: .6rem;
  padding: .9rem 1.1rem 1rem; }
.card b { display: block; font: 600 1.85rem/1.2 var(--serif); font-variant-numeric: tabular-nums;
  margin: .15rem 0 .1rem; }
.card span { display: block; font-size: .82rem; color: var(--muted); line-height: 1.4; }
.card .label { font-weight: 600; color: var(--ink); }
.card.good b { color: var(--good); } .card.bad b { color: var(--bad); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .93rem; font-variant-numeric: tabular-nums; }
figcaption { font-size: .88rem; color: var(--muted); line-height: 1.5; }
th, td { padding: .42rem 1.1rem .42rem 0; text-align: left; vertical-align: baseline;
  border-bottom: 1px solid var(--line); }
thead th { font-weight: 600; font-size: .82rem; color: var(--muted); border-bottom-width: 2px; }
tbody th { font-weight: 600; }
th.number, td.number { text-align: right; }
td.number { white-space: nowrap; }
figure { margin: .6rem 0 1.8rem; min-width: 0; }
figcaption { margin-top: .5rem; max-width: 46rem; }
figure svg, figure img { display: block; max-width: 100%; height: auto; }
figure svg * { stroke-linejoin: round; stroke-linecap: butt; }
figure svg text { font-family: var(--sans) !important; }
figure img { background: #ffffff; border-radius: .4rem; }
.row { display: flex; flex-wrap: wrap; gap: 0 2rem; }
.row figure { flex: 0 1 auto; }
.still svg, .still img { margin: 0 auto; }
.live { display: none; }
.ready .live { display: block; height: min(32rem, 92vw); } .ready .still { display: none; }
.globe { border: 1px solid var(--line); border-radius: .6rem; background: var(--panel);
  padding: .6rem; max-width: 46rem; }
.notice { font-size: .88rem; color: var(--muted); margin: .4rem 0 0; }
.ready .notice { display: none; }
.live .updatemenu-item-rect, .live .updatemenu-header rect {
  fill: var(--paper) !important; stroke: var(--line) !important; }
.live .updatemenu-item-text, .live .updatemenu-header-arrow { fill: var(--ink) !important; }
details { border: 1px solid var(--line); border-radius: .5rem; margin: 0 0 1rem; padding: 0 1rem; }
summary { cursor: pointer; padding: .6rem 0; font-weight: 600; }
pre { font: .84rem/1.5 var(--mono); overflow-x: auto; margin: 0 0 1rem; white-space: pre-wrap; }
footer { border-top: 1px solid var(--line); background: var(--panel); }
footer dl { max-width: 76rem; margin: 0 auto; padding: 1.4rem 1.5rem 2rem; font-size: .85rem;
  color: var(--muted); display: flex; flex-wrap: wrap; gap: .3rem 1.8rem; }
footer dt { font-weight: 600; display: inline; }
footer dd { display: inline; margin: 0 0 0 .35rem; }
@media (max-width: 40rem) { .emblem { opacity: .35; }
  .masthead h1, .masthead p { max-width: none; } }
@media print {
  :root { --paper: #fff; --panel: #fff; --ink: #000; --muted: #444; --line: #bbb; --blank: #e1e6ec;
    --accent: #0b6299; }
  nav, .emblem, .ready .live, .live, .notice { display: none !important; }
  .ready .still { display: block !important; }
  figure, .card, tr { break-inside: avoid; } h2, h3 { break-after: avoid; }
  .columns { display: block; } body { font-size: 10.5pt; }
}
"""

SCRIPT = """
(() => {
  "use strict";
  const variables = @VARIABLES;
  const color = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const hasWebGL = (canvas => Boolean(canvas.getContext("webgl2") || canvas.getContext("webgl")))(
    document.createElement("canvas"));
  const themed = text => JSON.parse(Object.entries(variables).reduce(
    (data, [gray, name]) => data.replaceAll(gray, color(name)), text));
  const options = {displayModeBar: false, responsive: true, scrollZoom: false};
  const draw = view => {
    const figure = themed(view.querySelector("script[type='application/json']").textContent);
    delete figure.layout.height;  // the style sheet says it
    figure.layout.hoverlabel = {bgcolor: color("--paper"), bordercolor: color("--line"),
      font: {color: color("--ink")}};
    view.classList.add("ready");
    Plotly.react(view.querySelector(".live"), {data: figure.data, layout: figure.layout,
      frames: figure.frames, config: options})
      .catch(() => view.classList.remove("ready"));
  };
  const watcher = new IntersectionObserver(entries => entries.forEach(entry => {
    if (!entry.isIntersecting) return;
    watcher.unobserve(entry.target);
    try { draw(entry.target); } catch (problem) { entry.target.classList.remove("ready"); }
  }), {rootMargin: "600px"});
  document.querySelectorAll(".view").forEach(view => {
    if (view.dataset.webgl === "yes" && !hasWebGL) {
      view.querySelector(".notice").textContent =
        "The interactive view needs WebGL, which this browser does not offer.";
    } else { watcher.observe(view); }
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () =>
    document.querySelectorAll(".view.ready").forEach(draw));
})();
""".replace("@VARIABLES", json.dumps({gray: name[4:-1] for gray, name in THEME_VARIABLES.items()}))

HEAD = """<!DOCTYPE html>
<html lang="{language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data: blob:; \
style-src 'unsafe-inline'; script-src 'unsafe-inline' 'unsafe-eval'; worker-src blob:">
<link rel="icon" href="data:,">
<title>{title}</title>
<style>{style}</style>
</head>
"""


def emblem() -> str:
    """A drawing of a globe, decoration of the masthead."""
    view = View("orthographic", center=(-20.0, 28.0))
    curves = [*graticule_lines(view, spacing_deg=15), view.outline(121)]
    paths = "".join(f'<path d="M{_path(curve)}"/>' for curve in curves)
    return f'<svg class="emblem" viewBox="-1.02 -1.02 2.04 2.04" aria-hidden="true">{paths}</svg>'


def _path(curve: np.ndarray) -> str:
    """The points of a curve in the syntax of SVG, thinned to what the eye can see."""
    kept = np.unique(np.append(np.arange(0, len(curve), 4), len(curve) - 1))
    return "L".join(f"{x:.3f} {-y:.3f}" for x, y in curve[kept])
