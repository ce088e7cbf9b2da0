"""Checks shared by the formalizations; each error names argument, rule and value."""

import math
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

__all__ = ["at_least_one", "known_priors", "one_of", "positive_fields"]


def at_least_one(owner: object, *names: str) -> None:
    """Refuse integer fields below 1.

    Raises:
        ValueError: A field is not an integer of at least 1.
    """
    for name in names:
        value = getattr(owner, name)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(f"{name} must be an integer of at least 1, got {value!r}")


def one_of(argument: str, value: str, options: list[str]) -> str:
    """Return `value` if it is among the options.

    Raises:
        ValueError: It is not; the message names the nearest option.
    """
    if value in options:
        return value
    near = get_close_matches(value, options, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    shown = ", ".join(options[:30]) + (f", ... ({len(options)})" if len(options) > 30 else "")
    raise ValueError(f"{argument} must be one of {shown}, got {value!r}{hint}")


def positive_fields(owner: object, *names: str) -> None:
    """Refuse fields that are not positive and finite.

    Raises:
        ValueError: A field is zero, negative, infinite or NaN.
    """
    for name in names:
        value = getattr(owner, name)
        if not (math.isfinite(value) and value > 0):
            raise ValueError(f"{name} must be positive and finite, got {value}")


def known_priors(prior: Mapping[str, Any], *names: str) -> None:
    """Refuse priors of weights that the formalization lacks, and what is no prior.

    Raises:
        ValueError: A name is not among `names`, or its value cannot be called as a prior.
    """
    for name, value in prior.items():
        one_of("name in prior", name, list(names))
        if isinstance(value, type) or not callable(value):
            raise ValueError(
                f"prior of {name!r} must be an object such as Dense() or Horseshoe(0.1), "
                f"got {value!r}"
            )
