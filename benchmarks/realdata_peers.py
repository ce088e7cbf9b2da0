"""Peers of `realdata.py --peers`, each on the same rows and scored by the same lines.

They come with `pip install ".[peers]"`, and one that is not installed is said to be missing.
Settings are those of the peer's own tutorial; MAVE-NN and LightGBM stop by validation sequences,
which our methods leave aside. Where a peer gives no density the column is empty.
"""

import os
import time
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray
from realdata_methods import Row, bloom_folds, landscape_rows, undistributed

from genomic_code.inference.table import r_squared
from genomic_code.spec import Cohort, datasets

TREES = 500
"""Most trees of LightGBM."""
VARIANCE = 1e-2
"""Variance of measurement given to gpmap-tools: with the known ones, of which this is the smallest
for which its conjugate gradients converge, R2 on smn1 was .518, with this for all of them .539."""


def mavenn(name: str, maps: tuple[str, ...], seed: int) -> Iterator[Row]:
    """MAVE-NN: a map of letters, one nonlinearity, skewed t noise.

    Tareen et al. 2022, doi:10.1186/s13059-022-02661-7.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import mavenn as peer
    import tensorflow

    tensorflow.config.threading.set_intra_op_parallelism_threads(1)
    tensorflow.config.threading.set_inter_op_parallelism_threads(1)
    cohort = datasets.load(name)
    split = cohort.dataset["split"].values
    letters, values = np.array(cohort.labels("individual")), cohort.phenotype.values[:, 0]
    test = split == "test"
    alphabet = "rna" if name == "mpsa" else "protein*"
    for each in maps:
        started = time.process_time()
        tensorflow.keras.utils.set_random_seed(seed)
        model = peer.Model(
            L=len(letters[0]), alphabet=alphabet, gpmap_type=each, regression_type="GE",
            ge_noise_model_type="SkewedT", ge_heteroskedasticity_order=2,
        )  # fmt: skip
        model.set_data(
            x=letters[~test], y=values[~test],
            validation_flags=split[~test] == "validation", verbose=False,
        )  # fmt: skip
        model.fit(
            learning_rate=1e-3, epochs=500, batch_size=200, early_stopping=True,
            early_stopping_patience=30, verbose=False, try_tqdm=False,
        )  # fmt: skip
        mean = model.x_to_yhat(letters[test])
        density = np.log(model.p_of_y_given_yhat(values[test], mean, paired=True))
        ends = model.yhat_to_yq(mean, q=np.array([0.05, 0.95]), paired=False)
        inside = (ends[:, 0] <= values[test]) & (values[test] <= ends[:, 1])
        yield Row(
            f"MAVE-NN {each}",
            r_squared(values[test, None], mean[:, None]),
            float(density.mean()),
            float(inside.mean()),
            time.process_time() - started,
        )


def boosted(
    cohort: Cohort, training: NDArray[np.bool_], validation: NDArray[np.bool_], seed: int
) -> NDArray[np.float64]:
    """Predictions `(N, T)` of gradient-boosted trees, trait by trait, stopped by validation rows.

    Ke et al. 2017, LightGBM.
    """
    import lightgbm

    genotype, phenotype = cohort.genotype.values.astype(np.float32), cohort.phenotype.values
    means = np.full(phenotype.shape, np.nan)
    for trait in range(phenotype.shape[1]):
        values = phenotype[:, trait]
        rows, stop = (part & ~np.isnan(values) for part in (training, validation))
        model = lightgbm.LGBMRegressor(
            n_estimators=TREES, learning_rate=0.05, random_state=seed, n_jobs=1, verbose=-1
        )
        quiet = [lightgbm.early_stopping(20, verbose=False)]
        held = [(genotype[stop], values[stop])]
        model.fit(genotype[rows], values[rows], eval_set=held, callbacks=quiet)
        means[:, trait] = model.predict(genotype)
    return means


def trees(name: str, seed: int) -> Iterator[Row]:
    """LightGBM on sequences."""
    cohort = datasets.load(name)
    split = cohort.dataset["split"].values
    test = split == "test"
    started = time.process_time()
    means = boosted(cohort, split == "train", split == "validation", seed)[test]
    yield undistributed("LightGBM", cohort.phenotype.values[test], means, started)


def some_for_stopping(training: NDArray[np.bool_], seed: int) -> NDArray[np.bool_]:
    """A tenth of the training rows."""
    chosen = np.random.default_rng(seed).random(len(training)) < 0.1
    return training & chosen


def landscape(seed: int) -> Iterator[Row]:
    """gpmap-tools: variance components of all orders of interaction.

    Zhou et al. 2022, doi:10.1073/pnas.2204233119.
    """
    from gpmap.inference import VCregression

    cohort, training = landscape_rows(seed)
    letters, values = np.array(cohort.labels("individual")), cohort.phenotype.values
    started = time.process_time()
    model = VCregression(genotypes=letters, cg_rtol=1e-3, progress=False)
    model.fit(letters[training], values[training, 0], y_var=np.full(training.sum(), VARIANCE))
    means = model.predict(letters[~training])[["f"]].values
    yield undistributed("gpmap-tools VCregression", values[~training], means, started)


def landscape_trees(seed: int) -> Iterator[Row]:
    """LightGBM on the letters of a splice site."""
    cohort, training = landscape_rows(seed)
    started = time.process_time()
    stop = some_for_stopping(training, seed)
    means = boosted(cohort, training & ~stop, stop, seed)[~training]
    yield undistributed("LightGBM", cohort.phenotype.values[~training], means, started)


def bloom(seed: int) -> Iterator[Row]:
    """LightGBM on every sixteenth marker, which tag the others."""
    cohort, training = bloom_folds(seed)
    thin = Cohort(
        cohort.genotype.to_pandas().iloc[:, ::16], cohort.phenotype.to_pandas(), name="thin"
    )
    means = np.full(cohort.phenotype.shape, np.nan)
    started = time.process_time()
    for rows in training:
        stop = some_for_stopping(rows, seed)
        means[~rows] = boosted(thin, rows & ~stop, stop, seed)[~rows]
    yield undistributed("LightGBM", cohort.phenotype.values, means, started)


PEERS: dict[str, list[Callable[[int], Iterator[Row]]]] = {
    "bloom2013": [bloom],
    "mpsa": [partial(mavenn, "mpsa", ("additive", "neighbor", "pairwise")), partial(trees, "mpsa")],
    "amyloid": [partial(mavenn, "amyloid", ("additive",)), partial(trees, "amyloid")],
    "tdp43": [partial(mavenn, "tdp43", ("additive",)), partial(trees, "tdp43")],
    "smn1": [landscape, landscape_trees],
}
