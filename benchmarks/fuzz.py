"""Feed damaged files and odd tables to every reader; count what is no clear ValueError.

    python benchmarks/fuzz.py --inputs 100000 --seed 0

Input `i` of seed `s` is drawn from `default_rng([s, i])`, so that each failure can be run again
with `--first i --inputs 1`. Inputs run in a child process: a crash or a hang of a file library is
counted and the next input goes on in a fresh child. An outcome is clear if it is a cohort or a
ValueError of one line; anything else is a failure, warnings included.
"""

import argparse
import gzip
import io
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from genomic_code.spec import Cohort

TOKENS = [
    b"", b"nan", b"NA", b"inf", b"-inf", b"1e999", b"1e39", b"-0", b"0x1", b"1_0", b"1,5", b"\xff",
    b"\x00", b"\n", b"\r\n", b"\r", b'"', b",", b";", b"\t", b":", b"genotype:", b"phenotype:a",
    b"individual", b"error:t", b"groups", b"split", b"./.", b"0/9", b"|", b"GT", b".", b"-9", b"A",
    b"99999999999999999999", "\u00e9\U0001f9ec".encode(), b"\xef\xbb\xbf", b"#CHROM", b"True",
]  # fmt: skip

RDATA = bytes.fromhex(
    "524458330a580a00000003000403010003050000000005"
    "5554462d38"
    "0000040200000001000400090000000178"
    "0000000e00000001"
    "3ff0000000000000"
    "000000fe"
)
"""An RData file with one number, used where the mirror has no cross."""

MEMORY = 6 << 30
"""Address space of a child in bytes: a damaged length must not take the machine down."""

PATIENCE = 20
"""Seconds of processor time after which an input counts as a hang."""


def seeds(folder: Path) -> dict[str, bytes]:
    """A small valid file of each format."""
    multitrait = Path(os.environ.get("GENOMIC_CODE_DATA", "")) / "rqtl_multitrait/multitrait.RData"
    rng = np.random.default_rng(0)
    genotype = pd.DataFrame(rng.integers(0, 3, (6, 4)), columns=[f"m{i}" for i in range(4)])
    genotype.iloc[:2] = [[0] * 4, [1] * 4]
    phenotype = pd.DataFrame(rng.normal(size=(6, 2)), columns=["t", "u"])
    phenotype.iloc[5, 0] = np.nan
    cohort = Cohort(
        genotype,
        phenotype,
        rng.normal(size=(6, 1)),
        phenotype.abs().fillna(0),
        groups=list("aabbcc"),
    )
    frame = cohort.to_dataframe()
    cohort.to_netcdf(folder / "seed.nc")
    parquet = io.BytesIO()
    frame.to_parquet(parquet)
    text = frame.to_csv(index=False).encode()
    head = "\t".join(["#CHROM", *"POS ID REF ALT QUAL FILTER INFO FORMAT a b c d e f".split()])
    sites = [
        f"1\t{9 + i}\trs{i}\tA\tG{',T' * (i == 2)}\t.\t.\t.\tGT:DP\t"
        + "\t".join(f"{a % 2}/{a // 2}:7" for a in rng.integers(0, 4, 6))
        for i in range(4)
    ]
    vcf = "\n".join(["##fileformat=VCFv4.2", head, *sites, ""]).encode()
    cross = "id,t,u,m1,m2,m3\n,,,1,1,2\n,,,0,10,3\n" + "".join(
        f"i{i},{i / 2},{i % 3},{'ABH'[i % 3]},{'AB-'[i % 3]},{'BA'[i % 2]}\n" for i in range(6)
    )
    return {
        "csv": text,
        "tsv": frame.to_csv(index=False, sep="\t").encode(),
        "csv.gz": gzip.compress(text, mtime=0),
        "parquet": parquet.getvalue(),
        "nc": (folder / "seed.nc").read_bytes(),
        "vcf": vcf,
        "vcf.gz": gzip.compress(vcf, mtime=0),
        "bed": b"\x6c\x1b\x01" + bytes(rng.integers(0, 256, 8).tolist()),
        "bim": b"".join(b"1 rs%d 0 %d A G\n" % (i, i) for i in range(4)),
        "fam": b"".join(b"f i%d 0 0 1 %d\n" % (i, i) for i in range(6)),
        "cross.csv": cross.encode(),
        "rdata": multitrait.read_bytes() if multitrait.is_file() else gzip.compress(RDATA, mtime=0),
    }


def damaged(rng: np.random.Generator, raw: bytes) -> bytes:
    """The bytes after a few accidents."""
    data = bytearray(raw)
    for _ in range(rng.geometric(0.4)):
        at = int(rng.integers(0, len(data) + 1))
        to = min(len(data), at + int(rng.integers(1, 2 ** rng.integers(1, 9))))
        match rng.integers(0, 8):
            case 0:
                del data[at:to]
            case 1:
                del data[at:]
            case 2:
                data[at:to] = rng.bytes(to - at)
            case 3:
                data[at:at] = TOKENS[rng.integers(len(TOKENS))]
            case 4:
                data[at:to] = TOKENS[rng.integers(len(TOKENS))]
            case 5:
                data[at:at] = data[at:to]
            case 6 if at < len(data):
                data[at] ^= 1 << int(rng.integers(8))
            case 7:
                other = int(rng.integers(0, len(data) + 1))
                data[at:at] = data[other : other + to - at]
    return bytes(data)


def anything(rng: np.random.Generator, depth: int = 0) -> object:
    """An odd value: numbers, text, arrays, frames of any type and shape."""
    shape = tuple(int(n) for n in rng.integers(0, 4, rng.integers(0, 4)))
    make: list[Callable[[], object]] = [
        lambda: None,
        lambda: rng.normal(size=shape),
        lambda: rng.normal(size=shape).astype(np.float16),
        lambda: rng.integers(0, 2, shape).astype(bool),
        lambda: rng.choice([np.nan, np.inf, 1e39, 0.0, 1.0, -1e300], shape),
        lambda: rng.choice(["", "a", "\0", "1"], shape),
        lambda: rng.choice(np.array([None, "a", 1, 2.5, b"b", 10**400], object), shape),
        lambda: rng.normal(size=shape) + 1j,
        lambda: np.array("2020-01-01", "datetime64[D]") + rng.integers(0, 9, shape),
        lambda: "text",
        lambda: -1,
        lambda: {"a": 1},
        lambda: [[1, 2], [3]],
        lambda: frame(rng),
        lambda: xr.DataArray(rng.normal(size=shape)),
        lambda: pd.Series(rng.normal(size=3), index=list("xyx")),
        lambda: [anything(rng, depth + 1) for _ in range(3)] if depth < 2 else 0,
    ]
    return make[rng.integers(len(make))]()


def frame(rng: np.random.Generator) -> pd.DataFrame:
    """A frame that holds a cohort, with up to three odd columns."""
    rows = int(rng.integers(0, 5)) if rng.integers(4) == 0 else 5
    odd: list[object] = [
        rng.normal(size=rows),
        rng.integers(0, 2, rows),
        pd.array([None, 1, 2, 3, 4][:rows], dtype="Int64"),
        pd.array([None, True, False, True, True][:rows], dtype="boolean"),
        pd.Categorical(list("abcab")[:rows]),
        pd.Categorical([1, 2, 1, 2, 1][:rows]),
        pd.date_range("2020", periods=rows),
        list("abcde")[:rows],
        [1, "a", None, 2.5, b""][:rows],
        rng.normal(size=rows) * 1e38 * 10,
        pd.arrays.SparseArray([0.0, 1.0, 0.0, 2.0, 0.0][:rows]),
    ]
    names = [
        "genotype:a", "genotype:b", "phenotype:t", "error:t", "environment:e", "individual",
        "groups", "split", "a", "", 1, None, np.nan, ("x", "y"), "\0", "\ud800", "phenotype:",
    ]  # fmt: skip
    columns: list[tuple[object, object]] = [
        ("genotype:a", rng.integers(0, 2, rows)),
        ("genotype:b", rng.normal(size=rows)),
        ("phenotype:t", rng.normal(size=rows)),
    ]
    for _ in range(rng.integers(0, 4)):
        name, values = names[rng.integers(len(names))], odd[rng.integers(len(odd))]
        if rng.integers(2):
            columns.append((name, values))
        else:
            columns[rng.integers(3)] = (name, values)
    made = pd.concat([pd.Series(values) for _, values in columns], axis=1)
    labels = [name for name, _ in columns]
    made.columns = pd.Index(labels, dtype=object, tupleize_cols=bool(rng.integers(2)))
    if rng.integers(4) == 0:
        made.index = pd.Index(rng.choice(["x", "y", "", "nan", "z"], rows))
    return made


def table(rng: np.random.Generator) -> object:
    """Tables given to a constructor, some of them odd."""

    def pick(*options: object) -> object:
        return options[rng.integers(len(options))]

    values = rng.normal(size=(5, 2))
    valid: list[object] = [rng.integers(0, 3, (5, 2)), values, values, abs(values), list("aabbc")]
    for _ in range(rng.integers(0, 3)):
        valid[rng.integers(5)] = anything(rng)
    match rng.integers(0, 4):
        case 0:
            return Cohort(*valid[: rng.integers(2, 6)])
        case 1:
            return Cohort.from_dataframe(frame(rng))
        case 2:
            loci = pick(["genotype:a"], ["genotype:a", "genotype:b"], "a", None, [1], [])
            traits = pick(["phenotype:t"], ["phenotype:t"], ["t", "t"], ["genotype:a"], "t")
            mark = pick(None, "groups", "individual", "a")
            return Cohort.from_dataframe(frame(rng), loci, traits, pick(None, []), groups=mark)
        case _:
            texts = [["ACGT", "ACGA", "CCGA"], ["AC", "G", "CA"], ["", "A"], [None, "A"], "ACGT"]
            return Cohort.from_sequences(
                pick(*texts, ["é", "a"], pd.Series(["A", "C", "G"])),
                pick(values[:3], values[:3], anything(rng)),
                pick("dna", "dna", "rna", "protein", "ACGT", "", "é"),
                pick("one-hot", "one-hot", "k-mer", "no"),
                pick(1, 2, 3, 0, -1, 2.5, 99),
            )


def attempt(kind: str, rng: np.random.Generator, valid: dict[str, bytes], folder: Path) -> object:
    """One input of a kind given to its reader."""
    if kind == "table":
        return table(rng)
    raw = valid[kind]
    raw = rng.bytes(rng.integers(0, 200)) if rng.integers(20) == 0 else damaged(rng, raw)
    if raw[:2] == b"\x1f\x8b" and valid[kind][:2] == b"\x1f\x8b" and rng.integers(4):
        raw = gzip.compress(damaged(rng, gzip.decompress(valid[kind])), 1)
    if kind in ("bed", "bim", "fam"):
        for suffix in ("bed", "bim", "fam"):
            (folder / f"p.{suffix}").write_bytes(raw if suffix == kind else valid[suffix])
        return Cohort.from_plink(folder / "p.bed", missing=("mean", "drop")[rng.integers(2)])
    path = folder / f"f.{kind}"
    path.write_bytes(raw)
    if kind.startswith("vcf"):
        traits = pd.DataFrame({"t": np.arange(6.0)}, index=list("abcdef"))
        return Cohort.from_vcf(path, traits, missing=("mean", "drop")[rng.integers(2)])
    if kind in ("cross.csv", "rdata"):
        return Cohort.from_rqtl(path)
    return Cohort.read(path)


def child(seed: int, first: int, last: int) -> None:
    """Run the inputs; print a line before and after each."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    warnings.simplefilter("error")
    unraised: list[str] = []
    sys.unraisablehook = lambda event: unraised.append(repr(event.exc_value))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        valid = seeds(folder)
        kinds = [*valid, "table", "table"]
        for i in range(first, last):
            rng = np.random.default_rng([seed, i])
            kind = kinds[rng.integers(len(kinds))]
            print("start", i, kind, flush=True)
            signal.setitimer(signal.ITIMER_PROF, PATIENCE)
            try:
                attempt(kind, rng, valid, folder)
                outcome = "cohort"
            except ValueError as error:
                clear = (
                    type(error) is ValueError and "\n" not in str(error) and len(str(error)) < 1000
                )
                outcome = "clear error" if clear else f"unclear {error!r}"[:300].replace("\n", " ")
            except BaseException as error:
                at = traceback.extract_tb(error.__traceback__)[-1]
                where = f"{Path(at.filename).name}:{at.lineno}"
                outcome = f"other {type(error).__name__} {where} {error}"[:300].replace("\n", " ")
                if isinstance(error, KeyboardInterrupt):
                    raise
            signal.setitimer(signal.ITIMER_PROF, 0)
            if unraised:
                outcome = f"unraised {unraised.pop()}"[:300]
                unraised.clear()
            print("end", outcome.replace("\n", " "), flush=True)


def main() -> None:
    """Print the counts by kind and outcome, and the first failures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--child", type=int, default=None, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child is not None:
        child(options.seed, options.first, options.child)
        return
    began = time.time()
    counts: Counter[tuple[str, str]] = Counter()
    failures: list[str] = []
    at, last = options.first, options.first + options.inputs
    while at < last:
        command = [sys.executable, __file__, "--seed", str(options.seed), "--first", str(at)]
        run = subprocess.Popen(
            [*command, "--child", str(last)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert run.stdout is not None
        kind, open_input = "", False
        for line in run.stdout:
            word, _, rest = line.rstrip("\n").partition(" ")
            if word == "start":
                number, _, kind = rest.partition(" ")
                at, open_input = int(number) + 1, True
            elif word == "end":
                open_input = False
                label = rest if rest in ("cohort", "clear error") else rest.split(" ")[0]
                counts[kind, label] += 1
                if label not in ("cohort", "clear error"):
                    failures.append(f"input {at - 1} ({kind}): {rest}")
        code = run.wait()
        if open_input:
            counts[kind, "hang" if code == -signal.SIGPROF else "crash"] += 1
            failures.append(f"input {at - 1} ({kind}): child ended with {code}")
        elif code:
            raise SystemExit(f"the child failed: {run.stderr.read() if run.stderr else ''}")
    table = pd.Series(counts).unstack(fill_value=0)
    print(table.assign(all=table.sum(axis=1)).to_string())
    bad = len(failures)
    print(
        f"{options.inputs} inputs, {bad} failures, {time.time() - began:.0f} s, seed {options.seed}"
    )
    print("\n".join(failures[:40]))
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
