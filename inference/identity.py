"""A formalization as JSON and back, without pickle: its class by name, its fields by value.

Reading builds frozen dataclasses of this package from plain values and nothing else: a file can
name no function, and no class of another package.
"""

import dataclasses
import importlib
import json
from collections.abc import Mapping
from typing import Any

import networkx as nx
import numpy as np

from genomic_code.spec.protocols import Formalization

__all__ = ["decode", "encode", "formalization_from_json", "formalization_to_json"]

HOME = "genomic_code.spec."


def formalization_to_json(formalization: Formalization) -> str:
    """The class and the fields of a formalization, as JSON text.

    Raises:
        ValueError: A field holds something that is neither plain nor a dataclass.
    """
    return json.dumps(encode(formalization))


def formalization_from_json(text: str) -> Formalization:
    """The formalization that `formalization_to_json` described.

    Raises:
        ValueError: It is not one of this package: build it yourself and pass it where it is asked.
    """
    formalization: Formalization = decode(json.loads(text))
    return formalization


def encode(value: Any) -> Any:
    """Plain values, mappings, directed graphs and dataclasses as JSON."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [each.name for each in dataclasses.fields(value) if each.init]
        fields = {name: encode(getattr(value, name)) for name in names}
        kind = type(value)
        return {"class": f"{kind.__module__}:{kind.__qualname__}", "fields": fields}
    if isinstance(value, Mapping):
        return {"mapping": {str(key): encode(item) for key, item in value.items()}}
    if isinstance(value, list | tuple):
        return {"tuple": [encode(item) for item in value]}
    if isinstance(value, nx.DiGraph):
        edges = [[encode(u), encode(v), encode(dict(marks))] for u, v, marks in value.edges.data()]
        return {"graph": [encode(node) for node in value], "edges": edges}
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise ValueError(
        f"formalization must have plain fields or dataclasses to be saved, got {type(value)}"
    )


def decode(value: Any, home: str = HOME) -> Any:
    """What `encode` made into JSON; classes from modules whose name begins with `home` only.

    Raises:
        ValueError: A class is not a dataclass of such a module, or its fields are not those given.
    """
    if not isinstance(value, dict):
        return value
    if "mapping" in value:
        return {key: decode(item, home) for key, item in value["mapping"].items()}
    if "tuple" in value:
        return tuple(decode(item, home) for item in value["tuple"])
    if "graph" in value:
        graph = nx.DiGraph()
        graph.add_nodes_from(decode(node, home) for node in value["graph"])
        graph.add_edges_from(tuple(decode(part, home) for part in edge) for edge in value["edges"])
        return graph
    kind = known_class(str(value["class"]), home)
    try:
        return kind(**{key: decode(item, home) for key, item in value["fields"].items()})
    except TypeError as cause:
        raise ValueError(
            f"{value['class']} has not the fields that were saved ({cause}); install the version "
            "of genomic-code that wrote the file"
        ) from None


def known_class(path: str, home: str) -> type:
    """The dataclass `module:name`, if the module is one of ours and defines it."""
    module, _, name = path.partition(":")
    if not module.startswith(home):
        raise ValueError(
            f"formalization must be a class of {home}* to be loaded by name, got {path!r}; pass "
            "your own instance to load()"
        )
    try:
        kind = getattr(importlib.import_module(module), name, None)
    except ImportError:
        kind = None
    if isinstance(kind, type) and dataclasses.is_dataclass(kind) and kind.__module__ == module:
        return kind
    raise ValueError(
        f"{path!r} is no class that can be loaded; install the version of genomic-code that wrote "
        "the file"
    )
