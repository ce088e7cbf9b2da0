"""Sweeps that are killed, lose workers, or meet the results of other commands."""

import importlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import torch

from genomic_code.inference import Settings, compare
from genomic_code.inference.compare import Comparison, evaluate
from genomic_code.inference.gather import Part
from genomic_code.inference.parcel import call_digest, pack, unpack
from genomic_code.inference.sweep import sweep
from genomic_code.spec import Cohort, Null, Polygenic
from genomic_code.spec.noise import StudentT
from genomic_code.spec.priors import Dense
from genomic_code.spec.protocols import Formalization

QUICK = Settings(restarts=2, screening=20, steps=40, cycles=2, elbo_draws=20)
NAMES = ["factor"]


@pytest.fixture(scope="module")
def whole(cohort: Cohort) -> Comparison:
    return compare(NAMES, cohort, folds=2, settings=QUICK, progress=False)


def same(first: Comparison, second: Comparison) -> bool:
    fits = all(
        np.array_equal(first.fits[name].parameters, second.fits[name].parameters)
        and np.array_equal(first.fits[name].history, second.fits[name].history)
        and first.fits[name].predict(draws=4).equals(second.fits[name].predict(draws=4))
        for name in NAMES
    )
    return fits and first.frame.equals(second.frame) and first.cells.equals(second.cells)


def test_finished_parts_are_taken_from_the_folder(
    cohort: Cohort, whole: Comparison, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    first = compare(NAMES, cohort, folds=2, settings=QUICK, progress=False, partial=tmp_path)
    files = sorted(tmp_path.iterdir())
    assert len(files) == 2
    # one part is cut short by a crash of the machine
    files[1].write_bytes(files[1].read_bytes()[:1000])
    calls: list[str] = []

    def counted(model: Formalization, **call: Any) -> Part:
        calls.append(model.name)
        return evaluate(model, **call)

    # the name of the function is part of the identity of a call
    counted.__module__, counted.__qualname__ = evaluate.__module__, evaluate.__qualname__
    module = importlib.import_module("genomic_code.inference.compare")
    monkeypatch.setattr(module, "evaluate", counted)
    again = compare(NAMES, cohort, folds=2, settings=QUICK, partial=tmp_path)
    assert calls == [files[1].name.split("-")[0]]
    assert "resuming: 1 of 2 parts are finished" in capsys.readouterr().out
    assert same(first, whole)
    assert same(again, whole)


def test_other_commands_start_anew(
    cohort: Cohort, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    everyone = np.ones((1, len(cohort)), bool)
    call = {"model": Null(), "cohort": cohort, "training": everyone, "settings": QUICK, "seed": 0}
    phenotype = cohort.phenotype.values.copy()
    phenotype[3, 0] += 1
    other = Cohort(cohort.genotype, phenotype, environment=cohort.environment)
    hyper = Null(StudentT())
    rate = Settings(**{**vars(QUICK), "rate": 0.04})
    changes: list[dict[str, Any]] = [
        {}, {"seed": 1}, {"model": hyper}, {"cohort": other}, {"settings": rate}
    ]  # fmt: skip
    for number, change in enumerate(changes):
        sweep(evaluate, [call | change], records=[Part], folder=tmp_path)
        assert ("starting anew" in capsys.readouterr().out) == (number > 0)
        assert len(list(tmp_path.iterdir())) == number + 1


def test_what_cannot_be_told_apart_is_done_again() -> None:
    assert call_digest(evaluate, {"model": Polygenic()}) == call_digest(
        evaluate, {"model": Polygenic()}
    )
    kernels = [torch.zeros(3000), torch.zeros(3000)]
    kernels[1][1500] = 1  # the middle, which no repr shows
    names = {call_digest(evaluate, {"starts": [{"effects": kernel}]}) for kernel in kernels}
    assert len(names) == 2
    strange = [Polygenic(prior={"effects": Once()}) for _ in range(2)]
    assert call_digest(evaluate, {"model": strange[0]}) != call_digest(
        evaluate, {"model": strange[1]}
    )


class Once:
    """A prior that only its address tells."""

    def __call__(self, name: str, sizes: Mapping[str, int]) -> torch.Tensor:
        return Dense()(name, sizes)


def test_parcels_hold_no_pickle(cohort: Cohort) -> None:
    values = [None, True, 3, -0.1, float("inf"), "text", (1, 2), {"a": np.arange(3)}]
    back = unpack(pack(values), Null(), cohort)
    assert back[:-1] == values[:-1]
    assert np.array_equal(back[-1]["a"], np.arange(3))
    with pytest.raises(TypeError, match="numbers or texts, got object"):
        pack([np.array([object()])])
    with pytest.raises(TypeError, match="results must be numbers"):
        pack([object()])


KILLED = """
import os, signal, sys, time
from pathlib import Path
import numpy as np
import torch
torch.set_num_threads(1)
from genomic_code.inference import Settings, compare
from genomic_code.spec import simulate

def run(folder):
    cohort = simulate("factor", individuals=80, loci=12, traits=3, missing=0.1, seed=3)
    settings = Settings(restarts=2, screening=20, steps=40, cycles=2, elbo_draws=20)
    return compare(["factor"], cohort, folds=2, settings=settings, progress=False,
                   partial=folder)

folder = Path(sys.argv[1])
moments = np.random.default_rng(int(sys.argv[2])).uniform(0.02, 0.8, 3)
counts = []
for moment in moments:
    child = os.fork()
    if not child:
        run(folder)
        os._exit(0)
    time.sleep(moment)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    counts.append(len(list(folder.glob("*.npz"))) if folder.exists() else 0)
last = run(folder)
np.savez(folder / "last", frame=last.frame.drop(columns="warning").to_numpy(float),
         cells=last.cells.values, parameters=last.fits["factor"].parameters.numpy())
print(counts)
"""


def test_killed_at_three_moments(whole: Comparison, tmp_path: Path) -> None:
    """Whenever a process is killed, the next goes on; the numbers are those of an unharmed run."""
    seed = int(time.time()) % 1000
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path), str(seed)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    with np.load(tmp_path / "last.npz") as last:
        frame = whole.frame.drop(columns="warning").to_numpy(float)
        assert np.array_equal(last["frame"], frame, equal_nan=True), (seed, done.stdout)
        assert np.array_equal(last["cells"], whole.cells.values, equal_nan=True)
        assert np.array_equal(last["parameters"], whole.fits["factor"].parameters.numpy())


@pytest.mark.slow
def test_a_lost_worker_changes_nothing(
    cohort: Cohort, whole: Comparison, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    distributed = pytest.importorskip("distributed")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, processes=True,
            silence_logs=50,
        ) as local,
        distributed.Client(local) as client,
        joblib.parallel_config("dask", client=client),
    ):  # fmt: skip
        processes = client.run(os.getpid)
        killed = []

        def kill() -> None:
            while not killed and not over.wait(0.2):
                busy = [worker for worker, tasks in client.processing().items() if tasks]
                if busy:
                    os.kill(processes[busy[0]], signal.SIGKILL)
                    killed.append(busy[0])

        over = threading.Event()
        killer = threading.Thread(target=kill)
        killer.start()
        result = compare(NAMES, cohort, folds=2, settings=QUICK, progress=False)
        over.set()
        killer.join()
    assert killed, "a worker died with a task in its hands"
    assert same(result, whole)
