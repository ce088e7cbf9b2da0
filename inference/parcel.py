"""Results and calls as arrays and JSON, without pickle: to be sent, stored and told apart."""

import hashlib
import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import genomic_code
from genomic_code.inference import identity
from genomic_code.inference.archive import GUIDES
from genomic_code.inference.basis import Basis
from genomic_code.inference.fit import rebuild
from genomic_code.inference.modes import Modes
from genomic_code.inference.posterior import Fit
from genomic_code.spec.cohort import Cohort
from genomic_code.spec.protocols import Formalization

__all__ = ["SCHEMA", "Parcel", "call_digest", "pack", "unpack"]

SCHEMA = 3
"""Version of the layout."""
FIT = (
    "training", "parameters", "modes", "elbo", "elbo_error", "restart_elbos", "history",
    "converged", "seed",
)  # fmt: skip
"""What a fit is rebuilt from, besides its formalization, cohort, basis and given sites."""

Parcel = dict[str, NDArray[Any]]
"""Arrays by number, and the JSON `layout` that says what they are."""


def pack(value: object) -> Parcel:
    """A result as a parcel.

    Raises:
        TypeError: It holds something that has no form as arrays and JSON.
    """
    arrays: Parcel = {}
    layout = {"schema": SCHEMA, "value": encode(value, arrays)}
    return arrays | {"layout": np.array(json.dumps(layout))}


def unpack(
    parcel: Parcel,
    model: Formalization,
    cohort: Cohort,
    records: Sequence[type[Any]] = (),
) -> Any:
    """The result that was packed, its fits being those of `model` to `cohort`."""
    every: tuple[type[Any], ...] = (Modes, *records)
    kinds = {record.__name__: record for record in every}

    def decode(value: Any) -> Any:
        if isinstance(value, list):
            return [decode(each) for each in value]
        if not isinstance(value, dict):
            return value
        kind, content = value["kind"], value["content"]
        if kind == "array":
            return parcel[content]
        if kind == "tensor":
            return torch.from_numpy(parcel[content])
        if kind == "tuple":
            return tuple(map(decode, content))
        if kind == "mapping":
            return {key: decode(each) for key, each in content}
        inside = {key: decode(each) for key, each in content}
        if kind == "Fit":
            guide = identity.decode(json.loads(inside.pop("guide")), GUIDES)
            return rebuild(model, cohort, guide=guide, **inside)
        return kinds[kind](**inside)

    return decode(json.loads(str(parcel["layout"]))["value"])


def encode(value: Any, arrays: Parcel) -> Any:
    """A JSON value; its arrays go to `arrays`, under their numbers."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list):
        return [encode(each, arrays) for each in value]
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray | Tensor):
        name = f"array_{len(arrays)}"
        plain = isinstance(value, np.ndarray)
        arrays[name] = value.detach().cpu().numpy() if isinstance(value, Tensor) else value
        if arrays[name].dtype.hasobject:
            raise TypeError(f"arrays must hold numbers or texts, got {arrays[name].dtype}")
        return {"kind": "array" if plain else "tensor", "content": name}
    if isinstance(value, Mapping):
        content = [[str(key), encode(each, arrays)] for key, each in value.items()]
        return {"kind": "mapping", "content": content}
    if isinstance(value, Fit):
        inside = {name: getattr(value, name) for name in FIT}
        inside |= {"basis": value.basis, "given": value.flat.given}
        inside |= {"guide": json.dumps(identity.encode(value.guide))}
        kind = "Fit"
    elif isinstance(value, Basis):
        return encode(value.vectors, arrays)
    elif isinstance(value, tuple) and hasattr(value, "_asdict"):
        inside, kind = value._asdict(), type(value).__name__
    elif isinstance(value, tuple):
        return {"kind": "tuple", "content": [encode(each, arrays) for each in value]}
    else:
        raise TypeError(
            f"results must be numbers, texts, arrays, named tuples or fits, got {value!r}"
        )
    return {"kind": kind, "content": [[key, encode(each, arrays)] for key, each in inside.items()]}


def call_digest(work: Callable[..., Any], call: Mapping[str, Any]) -> str:
    """Digest of all that the result of a call depends on, as 20 hexadecimal digits."""
    total = hashlib.sha256()
    for word in (
        SCHEMA, genomic_code.__version__, torch.__version__, np.__version__,
        torch.get_default_dtype(), work.__module__, work.__qualname__,
    ):  # fmt: skip
        total.update(f"{word}\n".encode())
    absorb(total, dict(call))
    return total.hexdigest()[:20]


def absorb(total: Any, value: Any) -> None:
    """Feed a value, whatever it is, to a digest; hyperparameters with the source of their class."""
    total.update(f"<{type(value).__module__}.{type(value).__qualname__}".encode())
    if isinstance(value, Tensor):
        value = value.detach().cpu().numpy()
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        total.update(f"{value.dtype}{value.shape}".encode())
        total.update(np.ascontiguousarray(value))
    elif isinstance(value, Cohort):
        total.update(value.unit.encode())
        for name in ("genotype", "environment", "phenotype", "error"):
            table = getattr(value, name)
            absorb(total, None if table is None else table.values)
    elif isinstance(value, Mapping):
        for key, each in value.items():
            absorb(total, key)
            absorb(total, each)
    elif isinstance(value, list | tuple):
        for each in value:
            absorb(total, each)
    elif is_dataclass(value):
        try:
            total.update(inspect.getsource(type(value)).encode())
        except (OSError, TypeError):
            pass  # typed in at a prompt: the name stands for it
        for field in fields(value):
            absorb(total, field.name)
            absorb(total, getattr(value, field.name))
    else:
        # an address in it, as functions have, makes this call unlike any other: it is made again
        total.update(repr(value).encode())
    total.update(b">")
