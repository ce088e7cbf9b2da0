import pytest
import torch


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Two threads a worker on two cores are slower than one, tenfold and more where it is busy."""
    torch.set_num_threads(1)
