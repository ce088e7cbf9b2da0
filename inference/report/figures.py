"""Figures as SVG within the page: text and axes take the colour of the page, light or dark."""

import io
import re
from base64 import b64encode
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt

__all__ = ["embedded_png", "svg"]

INK = "#010203"
"""A colour that no figure uses: it stands for that of the page's text."""
ENLARGED = 1.6
"""Pixels of the page for a point of the figure, so that letters have the same size in all."""
STYLE = {
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.labelcolor": INK,
    "savefig.transparent": True,
    "svg.fonttype": "path",
}


def svg(name: str, description: str, plot: Callable[[], Any]) -> str:
    """What `plot()` draws, as an SVG element; `name` must differ between figures of a page."""
    backend = mpl.get_backend()
    plt.switch_backend("agg")
    try:
        with mpl.rc_context({**STYLE, "svg.hashsalt": name}):
            figure = plot().get_figure(root=True)
            figure.patch.set_alpha(0.0)
            for axes in figure.axes:
                axes.patch.set_alpha(0.0)
            target = io.StringIO()
            figure.savefig(target, format="svg", bbox_inches="tight", metadata={"Date": None})
            plt.close(figure)
    finally:
        plt.switch_backend(backend)
    text = target.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    # glyphs of two figures have the same identifiers
    for kind in ('id="', 'href="#', "url(#"):
        text = text.replace(kind, f"{kind}{name}-")
    text = text.replace(INK, "currentColor")
    width = float(re.search(r'width="([\d.]+)pt"', text)[1])  # type: ignore[index]
    text = text.replace("<svg ", f'<svg style="max-width:{ENLARGED * width:.0f}px" ', 1)
    return text.replace("<svg ", f'<svg role="img" aria-label="{escape(description)}" ', 1)


def embedded_png(path: Path, description: str) -> str:
    """A PNG file as an image element, on white."""
    data = b64encode(path.read_bytes()).decode("ascii")
    return f'<img class="paper" alt="{escape(description)}" src="data:image/png;base64,{data}">'
