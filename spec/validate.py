"""Checks shared by the formalizations; each error names argument, rule and value."""

from difflib import get_close_matches

__all__ = ["at_least_one", "one_of"]


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
    raise ValueError(f"{argument} must be one of {', '.join(options)}, got {value!r}{hint}")
