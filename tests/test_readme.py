"""What the README shows must run."""

import re
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"


@pytest.mark.slow
def test_notebook_example() -> None:
    (block,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, object] = {}
    exec(block, names)
    assert "generative" in str(names["comparison"])


def test_every_formalization_is_listed() -> None:
    from genomic_code.spec import FORMALIZATIONS

    listed = re.findall(r"^\| `(\w+)` \|", README.read_text(encoding="utf-8"), re.MULTILINE)
    assert listed == list(FORMALIZATIONS)
