"""What all figures share: a column's width, colours that everybody can tell apart, axes to draw on.

Colours are those of Okabe & Ito (2008) that show on white and on black alike, and viridis. Text and
lines are in the colours of the reader's style, so that a dark style gives dark figures.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "BLUE",
    "CYCLE",
    "GREEN",
    "GREY",
    "MAP",
    "ORANGE",
    "axes_for",
    "band",
    "ink",
    "legend",
    "titled",
]

BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#8C8C8C"
CYCLE = [BLUE, ORANGE, GREEN, "#CC79A7", "#E69F00", "#56B4E9", GREY]
"""Colours in the order of use."""
MAP = "viridis"
"""Colours of a quantity."""
COLUMN = 3.4
"""Width of a printed column, inches."""


def axes_for(ax: "Axes | None", height: float = 2.6, width: float = COLUMN, **options: Any) -> Any:
    """The axes given, or those of a new figure of a column's width; sizes in inches.

    With `ncols` or `nrows` among the options of `plt.subplots`, an array of axes.
    """
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    if ax is not None:
        return ax
    small = {"font.size": 8, "axes.titlesize": 8, "axes.labelsize": 8}
    with mpl.rc_context(small):
        _, ax = plt.subplots(figsize=(width, height), layout="constrained", **options)
        interactive = mpl.is_interactive()
    mpl.interactive(interactive)  # the first figure of a notebook turns it on
    for panel in np.ravel(np.asarray(ax, object)):
        panel.tick_params(labelsize=7)
        if panel.name != "3d":
            panel.spines[["top", "right"]].set_visible(False)
    return ax


def legend(ax: "Axes", **options: Any) -> None:
    """A small legend without a frame."""
    ax.legend(**{"frameon": False, "fontsize": 7, "handlelength": 1.5, **options})


def titled(ax: "Axes", text: str, **options: Any) -> None:
    """A title as large as the axes' labels."""
    ax.set_title(text, fontsize=ax.xaxis.label.get_fontsize(), **options)


def band(
    ax: "Axes", x: ArrayLike, draws: ArrayLike, colour: str, label: str, style: str = "-"
) -> None:
    """Median and 90 % interval of draws `(S, X)` over `x`."""
    low, middle, high = np.quantile(np.asarray(draws), [0.05, 0.5, 0.95], axis=0)
    ax.plot(np.asarray(x), middle, style, color=colour, lw=1.4, label=label)
    ax.fill_between(np.asarray(x), low, high, color=colour, alpha=0.25, lw=0)


def spread(ax: "Axes", curves: ArrayLike, colour: str, label: str, style: str = "-") -> None:
    """Mean and standard deviation of curves `(S, X)` over 0, 1, ..."""
    values = np.asarray(curves)
    mean, sd = values.mean(0), values.std(0, ddof=min(1, len(values) - 1))
    ax.plot(mean, style, color=colour, lw=1.4, label=label)
    ax.fill_between(range(len(mean)), mean - sd, mean + sd, color=colour, alpha=0.2, lw=0)


def ink(colours: Sequence[Any]) -> list[str]:
    """Black or white, whichever can be read on each colour."""
    from matplotlib.colors import to_rgb

    weights = (0.299, 0.587, 0.114)
    light = [sum(w * c for w, c in zip(weights, to_rgb(one), strict=True)) for one in colours]
    return ["black" if value > 0.5 else "white" for value in light]
