"""Gibbs sampling of sparse effects whose places, not sizes, are shared by traits.

    y_nt = mu_t + x_n b_t + q_n d_t + e_nt,   e_nt ~ Normal(0, sigma_t^2)
    b_lt | k ~ Normal(0, v_k),  k_lt | c ~ Categorical(pi_c),  c_l ~ Categorical(phi)

Every locus l belongs to a class c_l (from quiet to hotspot) that says how often its effects on the
traits are of size v_k; v_0 = 0. q are products of pairs of the leading loci, whose effects d have
the same prior with class frequencies phi of their own. Missing cells are drawn with the rest.
Mixture of normals: Erbe et al. 2012, doi:10.3168/jds.2011-5019.

All folds are sampled at once: their training rows are stacked in one array.
"""

import math

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor

from genomic_code.inference.heldout import held_out_cells
from genomic_code.spec.cohort import Cohort
from genomic_code.spec.noise import Normal
from genomic_code.spec.standardize import Scaler

__all__ = ["Chain"]


class Chain:
    """State of one chain over F folds; effects `(P, F, T)` of P columns, additive ones first."""

    def __init__(
        self,
        cohort: Cohort,
        training: NDArray[np.bool_],
        kept: NDArray[np.intp],
        classes: int,
        variances: tuple[float, ...],
        generator: torch.Generator,
    ) -> None:
        self.cohort, self.training, self.generator = cohort, training, generator
        self.scalers = [Scaler.fit(cohort, rows, Normal()) for rows in training]
        whole = np.ones(len(cohort), bool)
        data = [scaler.data(cohort, whole) for scaler in self.scalers]
        rows = int(training.sum(1).max())
        inputs, outside, phenotypes, seen = [], [], [], []
        for fold, chosen in zip(data, torch.from_numpy(training), strict=True):
            assert fold.phenotype is not None
            columns = torch.cat([fold.environment, fold.genotype[:, kept]], 1)
            pad = rows - int(chosen.sum())
            inputs.append(torch.nn.functional.pad(columns[chosen], (0, 0, 0, pad)))
            outside.append(columns)
            seen.append(torch.nn.functional.pad(fold.observed[chosen], (0, 0, 0, pad)))
            phenotypes.append(torch.nn.functional.pad(fold.phenotype[chosen], (0, 0, 0, pad)))
        self.columns = torch.stack(inputs).permute(2, 0, 1).contiguous()
        self.outside = torch.stack(outside)
        self.seen = torch.stack(seen)
        self.residual = torch.where(self.seen, torch.stack(phenotypes), 0.0)
        self.covariates = data[0].environment.shape[1]
        self.rows = torch.tensor(training.sum(1)).float()
        self.inside = torch.arange(rows) < self.rows[:, None]
        self.targets = torch.stack([fold.phenotype for fold in data])  # type: ignore[misc]
        folds, _, traits = self.residual.shape
        self.mean = torch.zeros(folds, traits)
        self.noise = torch.ones(folds, traits)
        self.variances = torch.tensor(variances)
        sizes = len(variances)
        self.effects = torch.zeros(len(self.columns), folds, traits)
        self.drawn = torch.zeros(len(self.columns), folds, traits, dtype=torch.long)
        # classes differ in how many traits they start with, so that they can part
        shares = 0.02 * 4.0 ** torch.arange(classes)
        shares = shares.clamp_max(0.5)[:, None] / (sizes - 1)
        self.sizes = torch.cat([1 - shares * (sizes - 1), shares.expand(-1, sizes - 1)], 1)
        self.sizes = self.sizes.expand(folds, -1, -1).clone()
        self.groups = [slice(self.covariates, len(self.columns))]
        self.classes = torch.zeros(len(self.columns), folds, dtype=torch.long)
        self.size = torch.zeros(len(self.columns), folds)
        self.kept = 0
        self.total = torch.zeros(folds, len(cohort), traits, dtype=torch.float64)
        self.square, self.below = self.total.clone(), self.total.clone()
        self.density = torch.full_like(self.total, -math.inf)

    def sweep(self) -> None:
        """Draw every effect given the others, then classes, frequencies, noise, missing cells."""
        noise, rows = self.noise[..., None], self.rows[:, None, None]
        precision = rows * self.variances + noise
        shrink = self.variances / precision
        spread = (shrink * noise).sqrt()
        gain = 0.5 * shrink / noise
        base = -0.5 * torch.log(precision / noise)
        log_sizes = self.sizes.log()
        fold = torch.arange(len(self.rows))
        shape = (*self.noise.shape, len(self.variances))
        for j in range(len(self.columns)):
            column = self.columns[j]
            score = torch.bmm(column[:, None], self.residual)[:, 0]
            score.addcmul_(self.effects[j], self.rows[:, None])
            if j < self.covariates:
                fresh = 0.25 / (rows[..., 0] * 0.25 + self.noise) * score
                fresh = fresh + (0.25 * self.noise / (rows[..., 0] * 0.25 + self.noise)).sqrt() * (
                    torch.randn(score.shape, generator=self.generator)
                )
            else:
                logits = base + log_sizes[fold, self.classes[j]][:, None]
                logits = logits + gain * score.square()[..., None]
                uniform = torch.empty(shape).exponential_(generator=self.generator)
                drawn = (logits - uniform.log()).argmax(-1, keepdim=True)
                normal = torch.randn(score.shape, generator=self.generator)
                fresh = shrink.gather(-1, drawn)[..., 0] * score
                fresh = fresh + spread.gather(-1, drawn)[..., 0] * normal
                self.drawn[j] = drawn[..., 0]
            change = self.effects[j] - fresh
            self.residual.baddbmm_(column[..., None], change[:, None])
            self.effects[j] = fresh
        self.draw_classes()
        self.draw_noise()

    def draw_classes(self) -> None:
        """Draw the class of each locus, and the frequencies of sizes and classes."""
        counts = torch.nn.functional.one_hot(self.drawn, len(self.variances)).sum(2).float()
        classes = self.sizes.shape[1]
        for group in self.groups:
            taken = torch.nn.functional.one_hot(self.classes[group], classes).sum(0).float()
            log_share = dirichlet(1.0 + taken, self.generator).log()
            logits = log_share + torch.einsum("pfk,fck->pfc", counts[group], self.sizes.log())
            uniform = torch.empty(logits.shape).exponential_(generator=self.generator)
            self.classes[group] = (logits - uniform.log()).argmax(-1)
        member = torch.nn.functional.one_hot(self.classes, classes).float()
        member[: self.covariates] = 0
        total = torch.einsum("pfc,pfk->fck", member, counts)
        self.sizes = dirichlet(0.1 + total, self.generator).clamp_min(1e-12)

    def draw_noise(self) -> None:
        """Draw the noise variances, the means and the residuals of missing cells."""
        held = torch.where(self.seen, self.residual, 0.0)
        cells = self.seen.sum(1).float()
        rate = 0.5 * held.square().sum(1) + 0.05
        gamma = torch._standard_gamma(0.5 * cells + 0.1, generator=self.generator)
        self.noise = rate / gamma
        shift = held.sum(1) / cells
        shift = shift + (self.noise / cells).sqrt() * torch.randn(
            shift.shape, generator=self.generator
        )
        self.mean += shift
        normal = torch.randn(self.residual.shape, generator=self.generator)
        missing = normal * self.noise.sqrt()[:, None] * self.inside[..., None]
        self.residual = torch.where(self.seen, self.residual - shift[:, None], missing)
        self.size = 0.9 * self.size + 0.1 * self.effects.square().sum(-1)

    def add_pairs(self, leading: int) -> None:
        """Add products of the leading loci, other ones in each fold, as columns that start at 0."""
        first = self.covariates
        chosen = [
            apart(self.size[first:, f], self.columns[first:, f], leading)
            for f in range(len(self.rows))
        ]
        number = min(len(loci) for loci in chosen)
        index = torch.stack([loci[:number] for loci in chosen]) + first
        left, right = torch.triu_indices(number, number, 1)
        each = [table[:, loci] for table, loci in zip(self.outside, index, strict=True)]
        product = torch.stack([table[:, left] * table[:, right] for table in each])
        rows = torch.from_numpy(self.training)[..., None]
        centre = (product * rows).sum(1, keepdim=True) / self.rows[:, None, None]
        product = product - centre
        scale = ((product * rows).square().sum(1, keepdim=True) / self.rows[:, None, None]).sqrt()
        product = product / scale.clamp_min(1e-6)
        inside = product.new_zeros(product.shape[2], *self.residual.shape[:2])
        for f, trained in enumerate(torch.from_numpy(self.training)):
            inside[:, f, : int(trained.sum())] = product[f, trained].mT
        count = len(inside)
        self.groups.append(slice(len(self.columns), len(self.columns) + count))
        self.columns = torch.cat([self.columns, inside])
        self.outside = torch.cat([self.outside, product], -1)
        for name in ("effects", "drawn", "classes", "size"):
            table = getattr(self, name)
            setattr(self, name, torch.cat([table, table.new_zeros(count, *table.shape[1:])]))

    def score(self) -> None:
        """Add the predictive distribution of the present draw."""
        expected = torch.einsum("fnp,pft->fnt", self.outside, self.effects) + self.mean[:, None]
        noise = self.noise.sqrt()[:, None].expand_as(expected)
        predictive = torch.distributions.Normal(expected, noise, validate_args=False)
        self.kept += 1
        self.total += expected
        self.square += expected.double().square() + noise.double().square()
        self.below += predictive.cdf(self.targets).double()
        self.density = torch.logaddexp(self.density, predictive.log_prob(self.targets).double())

    def predictions(self) -> xr.Dataset:
        """What `Hotspots.predict` returns."""
        mean = self.total / self.kept
        tables = {
            "mean": mean,
            "predictive_sd": (self.square / self.kept - mean.square()).sqrt(),
            "log_predictive": self.density - math.log(self.kept),
            "quantile": self.below / self.kept,
        }
        parts = [
            {name: table[fold, torch.from_numpy(~rows)] for name, table in tables.items()}
            for fold, rows in enumerate(self.training)
        ]
        return held_out_cells(self.cohort, self.training, self.scalers, parts)


def apart(size: Tensor, columns: Tensor, number: int) -> Tensor:
    """Places of the largest of `size` `(P,)` whose columns `(P, N)` correlate below one half."""
    standard = columns / columns.norm(dim=1, keepdim=True).clamp_min(1e-6)
    chosen: list[int] = []
    for place in size.argsort(descending=True).tolist():
        if not chosen or float((standard[chosen] @ standard[place]).abs().max()) < 0.5:
            chosen.append(place)
        if len(chosen) == number:
            break
    return torch.tensor(chosen)


def dirichlet(concentration: Tensor, generator: torch.Generator) -> Tensor:
    """A draw over the last dimension."""
    gamma = torch._standard_gamma(concentration, generator=generator).clamp_min(1e-30)
    return gamma / gamma.sum(-1, keepdim=True)
