"""Lineage: what happened to a genome in its niches, generation by generation."""

import json
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from genomic_code.inference.flat import blank
from genomic_code.inference.genome import WeightGenome
from genomic_code.inference.identity import formalization_from_json, formalization_to_json
from genomic_code.inference.niche import Niche
from genomic_code.spec.files import check_version
from genomic_code.spec.html import summary
from genomic_code.spec.protocols import Data, Formalization, Weights

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["DIMENSIONS", "Lineage"]

SCHEMA = 1
"""Version of the layout of the files; raised when an older reader would misread them."""
DIMENSIONS: dict[str, tuple[str, ...]] = {
    "expected_log_fitness": (),
    "log_mean_fitness": (),
    "information": (),
    "free_fitness": (),
    "heterozygosity": (),
    "mean_trait": ("condition", "trait"),
    "G": ("trait", "trait_other"),
    "M": ("trait", "trait_other"),
    "location": ("coordinate",),
    "scale": ("coordinate",),
    "covariance": ("coordinate", "coordinate_other"),
    "frequency": ("genotype",),
    "allele_frequency": ("locus",),
}
"""What may be recorded of a generation, and its dimensions.

| variable | meaning, unit |
|---|---|
| expected_log_fitness | E[log W] over the population, nats |
| log_mean_fitness | log E[W], nats: what Lande's equation climbs |
| information | KL(q, prior), bits: what evolution has written into the genome |
| free_fitness | E[log W] - KL(q, prior) / nu, nats |
| G | covariance of traits in the population, averaged over conditions |
| M | covariance of the trait effects of mutation, per unit of mutation |
| location, scale | q of the unconstrained genome: mean and standard deviation |
"""

UNITS = {
    "expected_log_fitness": "nats",
    "log_mean_fitness": "nats",
    "information": "bits",
    "free_fitness": "nats",
    "mean_trait": "standard units",
    "G": "squared standard units",
    "M": "squared standard units",
}
SWITCHES = 40
"""Most switches of the niche that a figure marks."""


@dataclass(frozen=True, eq=False)
class Lineage:
    """The recorded history of a population or of q."""

    dataset: xr.Dataset
    """Variables of `DIMENSIONS` with the dimension `generation` in front; the attributes state
    the conventions: nu, ploidy, process, what selection is on."""
    genome: WeightGenome | None = None
    """The genome that evolved, where it is one of weights."""
    niche: Niche | None = None
    """The niche of the last generation, where it is a `Niche`."""

    @classmethod
    def from_records(
        cls,
        records: Iterable[tuple[int, str, Mapping[str, Tensor]]],
        conventions: Mapping[str, Any],
        **context: Any,
    ) -> "Lineage":
        """A lineage of `(generation, name of the niche, summary)`, in order.

        Raises:
            FloatingPointError: A summary is not a number.
        """
        rows = list(records)
        variables: dict[str, Any] = {"niche": (("generation",), [row[1] for row in rows])}
        for name in rows[0][2]:
            values = torch.stack([torch.as_tensor(row[2][name]).detach() for row in rows])
            if values.isnan().any():
                raise FloatingPointError(f"{name} is not a number in some generation")
            variables[name] = (("generation", *DIMENSIONS[name]), values.numpy())
        coordinates = {"generation": [row[0] for row in rows]}
        attributes = {key: plain(value) for key, value in conventions.items()}
        return cls(xr.Dataset(variables, coordinates, attributes), **context)

    def __len__(self) -> int:
        return int(self.dataset.sizes["generation"])

    def __repr__(self) -> str:
        last = self.dataset.isel(generation=-1)
        name = self.dataset.attrs.get("dynamics", "lineage")
        fitness = float(last["expected_log_fitness"])
        bits = f", {float(last['information']):.1f} bits" if "information" in last else ""
        return (
            f"Lineage({name}: {len(self)} records to generation "
            f"{int(last['generation'])}, E[log W] {fitness:.2f}{bits})"
        )

    def _repr_html_(self) -> str:
        last = self.dataset.isel(generation=-1)
        units = {"information": " bits", "expected_log_fitness": " nats", "free_fitness": " nats"}
        rows: dict[str, object] = {
            "records": f"{len(self)}, to generation {int(last['generation'])}",
            **{
                name.replace("_", " "): f"{float(last[name]):.2f}{unit}"
                for name, unit in units.items()
                if name in last
            },
            "recorded": ", ".join(str(name) for name in self.dataset.data_vars),
            **{str(key): value for key, value in self.dataset.attrs.items()},
        }
        evolved = "" if self.genome is None else f" of {self.genome.formalization!r}"
        return summary(f"Lineage{evolved}", rows)

    @property
    def formalization(self) -> Formalization:
        """The hypothesis that evolved.

        Raises:
            ValueError: The lineage is not one of genomic weights.
        """
        return self.needed().formalization

    @property
    def data(self) -> Data:
        """The last niche as a cohort: one individual a condition, its target as phenotype.

        Genotypes are those the niche imposes, else the mean alleles of the last generation.
        """
        genome = self.needed()
        if self.niche is None:
            raise ValueError("lineage must have met a Niche with targets to be seen as a cohort")
        genotype = self.niche.genotype
        if genotype is None:
            location = torch.as_tensor(self.dataset["location"].values[-1])
            genotype = genome.weights(location)[1]
        assert genotype is not None
        empty = blank(genome.shape._replace(individuals=self.niche.conditions))
        surroundings = self.niche.environment
        assert surroundings is not None
        return empty._replace(
            genotype=genotype.detach(), environment=surroundings, phenotype=self.niche.target
        )

    def weights(self, draws: int = 200, seed: int = 0, generation: int = -1) -> Weights:
        """Draws `(S, ...)` of the composed genomic weights from q of a recorded generation.

        Args:
            draws: Number of draws S.
            seed: Seed of the draws.
            generation: Position among the recorded generations; the last by default.
        """
        return self.needed().weights(self.flat_draws(draws, seed, generation))[0]

    def flat_draws(self, draws: int = 200, seed: int = 0, generation: int = -1) -> Tensor:
        """Draws `(S, D)` of the unconstrained genome from q of a recorded generation.

        Raises:
            ValueError: The lineage has no q.
        """
        if "scale" not in self.dataset:
            raise ValueError("lineage must have q (location and scale), as evolve() records it")
        row = self.dataset.isel(generation=generation)
        location, scale = (torch.tensor(row[name].values) for name in ("location", "scale"))
        generator = torch.Generator().manual_seed(seed)
        return location + scale * torch.randn(
            draws, len(location), generator=generator, dtype=location.dtype
        )

    def needed(self) -> WeightGenome:
        """The genome, or an error that says why there is none."""
        if self.genome is None:
            raise ValueError(
                f"lineage must be one of genomic weights, as evolve() makes, got one of "
                f"{self.dataset.attrs.get('dynamics')!r}"
            )
        return self.genome

    def to_datatree(self) -> xr.DataTree:
        """Groups `lineage`, and for a genome of weights `niche` and `fixed`."""
        groups: dict[str, xr.Dataset] = {"lineage": self.dataset}
        attributes: dict[str, Any] = {}
        if self.niche is not None:
            target, width = self.niche.target, torch.as_tensor(self.niche.width)
            surroundings = self.niche.environment
            assert surroundings is not None
            groups["niche"] = xr.Dataset(
                {
                    "target": (("condition", "trait"), target.numpy()),
                    "width": (("trait",), width.expand(target.shape[1]).numpy()),
                    "environment": (("condition", "environment"), surroundings.numpy()),
                },
                attrs={"name": self.niche.name},
            )
            if self.niche.genotype is not None:
                alleles = self.niche.genotype.numpy()
                groups["niche"]["genotype"] = (("condition", "locus"), alleles)
        if self.genome is not None:
            attributes = {
                "formalization": formalization_to_json(self.genome.formalization),
                "loci": self.genome.shape.loci,
                "individuals": self.genome.shape.individuals,
            }
            groups["fixed"] = xr.Dataset(
                {
                    name: (tuple(f"{name}_{i}" for i in range(value.dim())), value.numpy())
                    for name, value in self.genome.fixed.items()
                }
            )
        tree = xr.DataTree.from_dict(groups)
        tree.attrs.update(attributes)
        return tree

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write one netCDF file, with the formalization in it as JSON; whole or not at all.

        Raises:
            ValueError: The file cannot be written.
        """
        from genomic_code.inference.archive import netcdf_path
        from genomic_code.spec.readers.netcdf import write_tree

        target = netcdf_path(path)
        tree = self.to_datatree()
        tree.attrs["archive_schema"] = SCHEMA
        write_tree(tree, target)
        return target

    @classmethod
    def load(
        cls, path: str | os.PathLike[str], formalization: Formalization | None = None
    ) -> "Lineage":
        """Read what `save` wrote.

        Args:
            path: The file.
            formalization: The formalization itself, if it is a class of your own.

        Raises:
            ValueError: The file is missing, damaged, of a newer version, or holds no lineage.
        """
        from genomic_code.inference.archive import saved_file
        from genomic_code.spec.readers.netcdf import read_tree

        file = saved_file(path)
        return cls.from_datatree(read_tree(file), file, formalization)

    @classmethod
    def from_datatree(
        cls, tree: xr.DataTree, file: Path, formalization: Formalization | None = None
    ) -> "Lineage":
        """A lineage from the groups of its file.

        Raises:
            ValueError: They hold no lineage, or one of a newer version.
        """
        if "lineage" not in tree:
            raise ValueError(
                f"path must be a file with a lineage, got {str(file)!r} with the groups "
                f"{sorted(tree.children)}; Lineage.save writes one"
            )
        check_version(tree.attrs.get("archive_schema", SCHEMA), SCHEMA, file)
        niche = genome = None
        if "niche" in tree:
            stored = tree["niche"]
            arrays = {
                str(name): torch.tensor(values.values) for name, values in stored.data_vars.items()
            }
            niche = Niche(**arrays, name=str(stored.attrs["name"]))
        if "formalization" in tree.attrs and niche is not None:
            model = formalization or formalization_from_json(tree.attrs["formalization"])
            fixed = {str(k): torch.tensor(v.values) for k, v in tree["fixed"].data_vars.items()}
            sizes = int(tree.attrs["loci"]), fixed, int(tree.attrs["individuals"])
            genome = WeightGenome(model, niche, *sizes)
        return cls(tree["lineage"].to_dataset(), genome, niche)

    def plot(self, variable: str = "expected_log_fitness", ax: "Axes | None" = None) -> "Axes":
        """Draw one variable over the generations; returns the axes.

        Matrices are shown by their trace, vectors component by component; dotted lines are switches
        of the niche.

        Raises:
            ValueError: The lineage has no such variable.
        """
        from genomic_code.inference.plots_style import CYCLE, GREY, axes_for, legend

        known = [str(name) for name in self.dataset.data_vars if name != "niche"]
        if variable not in known:
            raise ValueError(f"variable must be one of {', '.join(known)}, got {variable!r}")
        ax = axes_for(ax)
        values = self.dataset[variable].values
        trace = "trace of " if variable in ("G", "M", "covariance") else ""
        if trace:
            values = np.trace(values, axis1=1, axis2=2)
        curves = values.reshape(len(self), -1).T
        for number, (curve, colour) in enumerate(zip(curves, cycle(CYCLE), strict=False)):
            ax.plot(self.dataset["generation"], curve, color=colour, lw=1.2, label=f"{number + 1}")
        if 1 < len(curves) <= len(CYCLE):
            legend(ax, title=DIMENSIONS[variable][-1], title_fontsize=7)
        niche = self.dataset["niche"].values
        switches = np.flatnonzero(niche[1:] != niche[:-1]) + 1
        for switch in switches if len(switches) <= SWITCHES else []:
            ax.axvline(float(self.dataset["generation"][switch]), color=GREY, lw=0.8, ls=":")
        ax.set_xlabel("generation" + (" (dotted: switch of niche)" if len(switches) else ""))
        unit = UNITS.get(variable)
        name = variable.replace("_", " ")
        ax.set_ylabel(trace + name + (f" ({unit})" if unit else ""))
        return ax


def plain(value: Any) -> Any:
    """A convention as netCDF can hold it."""
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, int | str) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if isinstance(value, float):
        return str(value)
    return json.dumps(value)
