"""What is common to all platforms knows none of them by name, so that a further one is a folder and a line."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from connector import PLATFORMS, destinations, load_platform, stores

ROOT = Path(__file__).parents[2]
NAMES = re.compile("wix", re.IGNORECASE)
COMMON = [
    *sorted((ROOT / "sync").rglob("*.*")),
    *sorted((ROOT / "mappings").glob("*.py")),
    *sorted((ROOT / "connector").glob("*.py")),
    *sorted((ROOT / "connector" / "sandbox").rglob("*.*")),
]


def text(file: Path) -> str:
    """The file without its registry of platforms."""
    whole = file.read_text("utf-8")
    if file.suffix == ".py":
        for node in ast.parse(whole).body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "PLATFORMS":
                whole = whole.replace(ast.get_source_segment(whole, node) or "", "")
    return whole


@pytest.mark.parametrize(
    "file", [each for each in COMMON if each.suffix != ".pyc"], ids=lambda file: str(file.relative_to(ROOT))
)
def test_what_is_common_names_no_store(file: Path) -> None:
    """Neither code nor comments, in any letter case, nor the name of the file."""
    found = [f"line {number}" for number, line in enumerate(text(file).splitlines(), 1) if NAMES.search(line)]
    assert not found
    assert not NAMES.search(file.name)


def test_only_the_registry_is_excepted(tmp_path: Path) -> None:
    """The line that lists the platforms may name them, and nothing beside it."""
    file = tmp_path / "a.py"
    file.write_text('PLATFORMS = (\n    "shop",\n    "wix",\n)\n# the guid of WiX\n')
    assert [each.group() for each in NAMES.finditer(text(file))] == ["WiX"]


@pytest.mark.parametrize("name", PLATFORMS)
def test_the_registry_says_what_each_platform_is(name: str) -> None:
    """A store can be read; everything can be written to."""
    platform = load_platform(name)
    assert platform.name == name
    assert (name in stores(), name in destinations()) == (platform.source is not None, platform.source is None)
