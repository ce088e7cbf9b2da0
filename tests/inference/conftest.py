import pytest

from genomic_code.spec import Cohort, simulate


@pytest.fixture(scope="session")
def cohort() -> Cohort:
    """A small cohort with missing cells and an environment."""
    return simulate("factor", individuals=80, loci=12, traits=3, missing=0.1, seed=3)
