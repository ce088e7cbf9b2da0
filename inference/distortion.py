"""How many bits a genome needs for how faithful a development: a rate-distortion curve.

    rate        R = KL(q, prior) / ln 2                       bits that learning wrote
    distortion  D = - E_q log p(phenotype | weights) / ln 2   bits that the phenotype still needs
    R + D = - ELBO / ln 2

so a fit is a point of the curve, and the ELBO chooses the slope. Alemi et al. 2018,
arXiv:1711.00464. The rate counts every site, environment effects and noise included; `bits` tells
the genome's from the others. Bits are those of the variational family: slack between q and the
posterior counts as well. A mean-field rate is in closed form but for sites whose prior is not
normal; that of other guides is the difference of D and the ELBO, and noisier.
"""

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from genomic_code.inference.guides import MeanField
from genomic_code.inference.plots_style import BLUE, ORANGE, axes_for, legend
from genomic_code.inference.posterior import Fit

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["bits", "plot_rate_distortion", "rate_distortion"]


def bits(fit: Fit, draws: int = 500, seed: int = 0) -> pd.DataFrame:
    """Bits in each Pyro site of a mean-field fit; the sites are independent, so they add up.

    Args:
        fit: The posterior; of several optima the best.
        draws: Posterior draws for the expectation, in antithetic pairs; at least 4.
        seed: Seed of the draws.

    Returns:
        Indexed by site: `bits`, its Monte-Carlo standard error `se` (0 where the prior is normal:
        the divergence is then exact) and `numbers`, the size of the site.

    Raises:
        ValueError: The guide is not mean-field, so that sites share information; or there are
            too few draws for an error.
    """
    if draws < 4:
        raise ValueError(f"draws must be at least 4, got {draws}")
    if not isinstance(fit.guide, MeanField):
        raise ValueError(
            f"fit must have a mean-field guide, whose sites are independent, got {fit.guide.name}; "
            "fit with guide='meanfield', or use rate_distortion for the total"
        )
    fit = fit.split()[0]
    location, log_scale = fit.parameters.double().chunk(2, -1)
    flat = fit.flat_draws(draws, seed)
    rows = {}
    for site in fit.flat.sites:
        part = slice(site.start, site.stop)
        if site.isotropic:
            mean, scale = location[part], log_scale[part]
            nats = 0.5 * (mean.square() + (2 * scale).exp() - 1) - scale
            rows[site.name] = (nats.sum(), torch.tensor(0.0), site.stop - site.start)
            continue
        free = flat[:, part]
        block = torch.cat([fit.parameters.chunk(2, -1)[k][part] for k in (0, 1)])
        log_q = MeanField().log_density(block, free)
        free = free.reshape(-1, *site.free_shape)
        value = site.transform(free)
        jacobian: Tensor = site.transform.log_abs_det_jacobian(free, value)
        log_prior = site.prior.log_prob(value) + jacobian.reshape(draws, -1).sum(-1)
        gap = (log_q - log_prior).double()
        pairs = gap[: draws // 2 * 2].reshape(-1, 2).mean(1)
        rows[site.name] = (gap.mean(), pairs.std() / len(pairs) ** 0.5, free[0].numel())
    table = pd.DataFrame(
        [(float(mean), float(error), size) for mean, error, size in rows.values()],
        index=pd.Index(rows, name="site"),
        columns=["bits", "se", "numbers"],
    )
    table[["bits", "se"]] /= math.log(2)
    return table


def rate_distortion(
    fits: Mapping[str | int | float, Fit | Iterable[Fit]], draws: int = 200, interval: float = 0.9
) -> pd.DataFrame:
    """Points of the rate-distortion curve, one for each setting, with their uncertainty.

        fits = {m: fit(Bottleneck(genes=m), cohort) for m in (1, 2, 4, 8)}
        curve = rate_distortion(fits)

    Args:
        fits: Fits by setting, for instance by the width of the bottleneck. A setting may hold
            several fits (folds, or cohorts resampled): their spread is then part of the errors. Of
            several optima of a fit the best counts.
        draws: Posterior draws of each fit.
        interval: Posterior probability of the intervals.

    Returns:
        Indexed by setting, by increasing bits:

        bits, bits_se: the rate R and its standard error: of Monte Carlo for one fit, over fits for
        several; distortion: D of the training cells in bits a cell; fidelity, fidelity_low,
        fidelity_high: share of the training phenotype's variance that a draw of the weights
        explains, mean and interval over draws and fits; heldout, heldout_low, heldout_high: the
        same for individuals that were not fitted, absent where there are none; frontier: whether
        no other setting has both fewer bits and a higher fidelity (held out, where there is one).

    Raises:
        ValueError: There is no fit, or `interval` is not between 0 and 1.
    """
    if not fits:
        raise ValueError("fits must hold at least one setting, got none")
    if not 0 < interval < 1:
        raise ValueError(f"interval must be between 0 and 1, got {interval}")
    rows = []
    for setting, some in fits.items():
        group = list(some) if isinstance(some, Iterable) else [some]
        if not group:
            raise ValueError(f"fits must hold at least one fit a setting, got none for {setting!r}")
        points = [point(fit, draws) for fit in group]
        rate = np.array([p["bits"] for p in points])
        row = {
            "setting": setting,
            "fits": len(group),
            "bits": rate.mean(),
            "bits_se": rate.std(ddof=1) / len(rate) ** 0.5 if len(rate) > 1 else points[0]["se"],
            "distortion": np.mean([p["distortion"] for p in points]),
        }
        for kind in ("fidelity", "heldout"):
            values = np.concatenate([p[kind] for p in points])
            if len(values):
                tail = (1 - interval) / 2
                low, high = np.quantile(values, [tail, 1 - tail])
                row |= {kind: values.mean(), f"{kind}_low": low, f"{kind}_high": high}
        rows.append(row)
    table = pd.DataFrame(rows).set_index("setting").sort_values("bits")
    merit = table[
        "heldout" if "heldout" in table and table["heldout"].notna().all() else "fidelity"
    ]
    table["frontier"] = merit > merit.cummax().shift(fill_value=-np.inf)
    return table


def plot_rate_distortion(curve: pd.DataFrame, ax: "Axes | None" = None) -> "Axes":
    """Fidelity against bits with error bars; the frontier is joined, settings are written beside.

    Args:
        curve: From `rate_distortion`.
        ax: Axes to draw on; by default new ones.

    Returns:
        The axes.
    """
    ax = axes_for(ax)
    kinds = {"fidelity": (BLUE, "o", "training"), "heldout": (ORANGE, "s", "held out")}
    for kind, (colour, marker, label) in kinds.items():
        if kind not in curve:
            continue
        middle = curve[kind].to_numpy()
        ends = np.abs(curve[[f"{kind}_low", f"{kind}_high"]].to_numpy().T - middle)
        rate = curve["bits"].to_numpy()
        ax.errorbar(rate, middle, ends, curve["bits_se"], ls="", color=colour, marker=marker,
                    markersize=4, linewidth=1, label=label)  # fmt: skip
        front = curve["frontier"].to_numpy(bool)
        ax.plot(rate[front], middle[front], color=colour, linewidth=1)
        for setting, x, y in zip(curve.index, rate, middle, strict=True):
            ax.annotate(str(setting), (x, y), (4, 4), textcoords="offset points", fontsize=7)
    ax.set_xlabel("bits in all weights, KL(q, prior) / ln 2")
    ax.set_ylabel("share of variance explained")
    legend(ax)
    return ax


def point(fit: Fit, draws: int) -> dict[str, float | NDArray[np.float64]]:
    """Rate, distortion and fidelity of one fit."""
    fit = fit.split()[0]
    seen = fit.data.observed
    there = fit.seen
    phenotype = fit.standard_phenotype(fit.cohort)
    centre = torch.where(seen, phenotype, 0.0).sum(0) / seen.sum(0).clamp_min(1)
    gain, training, heldout = [], [], []
    for batch in fit.batches(draws, None, None):
        log_prob = batch.noise.log_prob(phenotype)
        gain.append(torch.where(seen, log_prob, 0.0).double().sum((-1, -2)))
        training.append(explained(batch.noise.mean - centre, phenotype - centre, seen))
        heldout.append(explained(batch.noise.mean - centre, phenotype - centre, there & ~seen))
    likelihood = torch.cat(gain)
    if isinstance(fit.guide, MeanField):
        table = bits(fit, max(draws, 4))
        rate, error = float(table["bits"].sum()), float(table["se"].pow(2).sum() ** 0.5)
    else:
        rate = (float(likelihood.mean()) - fit.elbo) / math.log(2)
        error = math.hypot(float(likelihood.std()) / draws**0.5, fit.elbo_error) / math.log(2)
    return {
        "bits": rate,
        "se": error,
        "distortion": -float(likelihood.mean()) / math.log(2) / int(seen.sum()),
        "fidelity": np.concatenate(training),
        "heldout": np.concatenate(heldout),
    }


def explained(expected: Tensor, phenotype: Tensor, cells: Tensor) -> NDArray[np.float64]:
    """Share of variance `(s)` explained in some cells; both are about the training mean."""
    if not cells.any():
        return np.empty(0)
    rest = torch.where(cells, phenotype - expected, 0.0).double().square().sum((-1, -2))
    total = torch.where(cells, phenotype, 0.0).double().square().sum((-1, -2))
    share: NDArray[np.float64] = (1 - rest / total).numpy()
    return share
