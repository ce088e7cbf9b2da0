"""The contract between hypotheses and inference, and the letters used for shapes.

    N individuals    L loci    C environments (covariates)    T traits
    K latents        H hidden units                            S posterior draws

A leading `...` in a shape stands for any number of batch dimensions (draws, restarts, folds).
"""

from collections.abc import Mapping
from typing import ClassVar, NamedTuple, Protocol, runtime_checkable

import numpy as np
import pyro.distributions as dist
from numpy.typing import NDArray
from torch import Tensor

Weights = Mapping[str, Tensor]
"""Genomic weights by name, each of shape `(..., *own dimensions)`."""


class Shape(NamedTuple):
    """Sizes of a cohort as the priors need them."""

    individuals: int
    loci: int
    environments: int
    traits: int


class Data(NamedTuple):
    """A cohort as tensors, standardised on its training rows."""

    genotype: Tensor
    """`(..., N, L)`; zero mean and unit variance a locus."""
    environment: Tensor
    """`(..., N, C)`; C may be 0."""
    phenotype: Tensor | None
    """`(..., N, T)`, missing cells filled with 0; None to sample it."""
    observed: Tensor
    """`(..., N, T)` boolean; False where the phenotype is missing or held out."""
    error: Tensor
    """`(..., N, T)` known measurement error (standard deviation), 0 where unknown."""

    @property
    def shape(self) -> Shape:
        """Sizes N, L, C and T."""
        individuals, loci = self.genotype.shape[-2:]
        return Shape(individuals, loci, self.environment.shape[-1], self.observed.shape[-1])

    def take(self, rows: Tensor | slice) -> "Data":
        """Some individuals of a cohort without leading dimensions."""
        return Data(
            self.genotype[rows],
            self.environment[rows],
            None if self.phenotype is None else self.phenotype[rows],
            self.observed[rows],
            self.error[rows],
        )


class Prior(Protocol):
    """A prior over one array of genomic weights."""

    def __call__(self, name: str, sizes: Mapping[str, int]) -> Tensor:
        """Sample Pyro sites (`name`, and `name_*` for auxiliaries); return the weights.

        `sizes` gives the array's dimensions by name, in order. Each site has the shape of its own
        dimensions under `.to_event()` and carries `infer={"dims": (...)}`; sites may hold leading
        batch dimensions when the model is conditioned.
        """
        ...


class Noise(Protocol):
    """A measurement model: how traits scatter about what development expects.

    Optional, read where present: `nodes(traits)`, on how large a grid each density is summed.
    """

    standardised: ClassVar[bool]
    """Whether the phenotype is standardised; False for counts and categories, kept as they are."""

    def parameters(self, shape: Shape) -> Weights:
        """Sample the noise parameters from their priors."""
        ...

    def distribution(
        self, expected: Tensor, parameters: Weights, data: Data
    ) -> dist.TorchDistribution:
        """Distribution of the phenotype, batch shape `(..., N, T)`, given expected traits."""
        ...

    def mean(self, expected: Tensor, parameters: Weights) -> Tensor:
        """Mean of that distribution `(..., N, T)`; for standardised traits in trait sd."""
        ...

    def check(self, phenotype: NDArray[np.floating]) -> None:
        """Refuse values of the phenotype `(N, T)` that the noise cannot give; NaN is missing.

        Raises:
            ValueError: A value has probability zero.
        """
        ...


@runtime_checkable
class Formalization(Protocol):
    """A competing hypothesis as a Pyro model: a frozen dataclass of hyperparameters.

    Pyro sites shared by all: `mean` (T), `environment_effect` (C, T), `noise_scale` (T) and the
    observed `phenotype` (N, T) in the plate `individuals`. Genomic weights that read the genotype
    directly are called `encoder` (L, K) or `effects` (L, T): the fit starts them spectrally.

    Optional, read where present: `starts(data, generator)`, pure, gives values of sites at which a
    restart begins; `positional = True` says that loci and traits have fixed places, and that no
    trait has a mean of its own (the weight `mean` is 0, without a site); `example_shape` gives
    sizes that fit, where only certain ones do; `spread(weights, genotype, environment)`, pure,
    gives a factor `(..., N, T)` of the scale of continuous noise; `direct = True` says that the
    weights `effects` add `genotype @ effects` to the expected traits and appear nowhere else;
    `caution`, words on when not to trust a variational fit, which fits and tables repeat.
    """

    name: ClassVar[str]
    """Registry name."""
    complexity: ClassVar[int]
    """Rank in the parsimony rule: linear before nonlinear, then by number of weights."""
    rotatable: ClassVar[bool]
    """Whether development meets the genotype only in products `genotype @ W`, so that with
    independent normal priors over loci any orthogonal basis of the genotype is equivalent."""

    @property
    def noise(self) -> Noise:
        """Measurement model."""
        ...

    def weights(self, shape: Shape) -> Weights:
        """Sample every genomic weight from its prior as Pyro sites; return them by name."""
        ...

    def develop(self, weights: Weights, genotype: Tensor, environment: Tensor) -> Tensor:
        """Expected traits `(..., N, T)` of genotype `(..., N, L)` and environment `(..., N, C)`.

        Pure and differentiable; the weights may have leading batch dimensions.
        """
        ...

    def __call__(self, data: Data) -> Tensor:
        """Run the whole Pyro model on a cohort; return the expected traits `(..., N, T)`."""
        ...
