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


def test_commands_have_the_options_shown() -> None:
    from typer.main import get_command

    from genomic_code.inference.cli import app

    commands = get_command(app).commands  # type: ignore[attr-defined]
    lines = re.findall(
        r"(?:^|&& |mirror )genomic-code (\w.*)", README.read_text(encoding="utf-8"), re.M
    )
    shown = [line.partition("#")[0].split() for line in lines]
    assert {words[0] for words in shown} >= {"compare", "report", "certify"}
    for name, *words in shown:
        known = {option for each in commands[name].params for option in each.opts}
        assert {word for word in words if word.startswith("--")} <= known, name


def test_every_formalization_is_listed() -> None:
    from genomic_code.spec import FORMALIZATIONS

    listed = re.findall(r"^\| `(\w+)` \|", README.read_text(encoding="utf-8"), re.MULTILINE)
    assert listed == list(FORMALIZATIONS)
