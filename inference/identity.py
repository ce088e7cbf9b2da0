"""A formalization as JSON and back, without pickle: its class by name, its fields by value."""

import dataclasses
import importlib
import json
from typing import Any

from genomic_code.spec.protocols import Formalization

__all__ = ["formalization_from_json", "formalization_to_json"]

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
    """Plain values, mappings and dataclasses as JSON."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: encode(getattr(value, f.name)) for f in dataclasses.fields(value)}
        kind = type(value)
        return {"class": f"{kind.__module__}:{kind.__qualname__}", "fields": fields}
    if isinstance(value, dict):
        return {"mapping": {str(key): encode(item) for key, item in value.items()}}
    if isinstance(value, list | tuple):
        return {"tuple": [encode(item) for item in value]}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise ValueError(
        f"formalization must have plain fields or dataclasses to be saved, got {type(value)}"
    )


def decode(value: Any) -> Any:
    """What `encode` made into JSON."""
    if not isinstance(value, dict):
        return value
    if "mapping" in value:
        return {key: decode(item) for key, item in value["mapping"].items()}
    if "tuple" in value:
        return tuple(decode(item) for item in value["tuple"])
    module, _, name = value["class"].partition(":")
    if not module.startswith(HOME):
        raise ValueError(
            f"formalization must be a class of {HOME}* to be loaded by name, got "
            f"{value['class']!r}; pass your own instance to load()"
        )
    kind = getattr(importlib.import_module(module), name)
    return kind(**{key: decode(item) for key, item in value["fields"].items()})
