"""What surrounds the code keeps its word: locks, documents, floors."""

from __future__ import annotations

import ast
import os
import re
from pathlib import Path

import pytest

import nas_syncd
from nas_syncd.settings import Settings, env_name

ROOT = Path(__file__).parents[1]
LOCKS = ("runtime", "dev", "lowest")
READMES = ("README.md", "README.fr.md")
PAGES = [
    *READMES,
    "CONTRIBUTING.md",
    *(str(page.relative_to(ROOT)) for page in (ROOT / "docs").rglob("*.md")),
]
PLANNED = {"verify", "restore", "ledger"}


def packages(lock: str) -> dict[str, str]:
    """Return name → version of a lock."""
    text = (ROOT / "requirements" / f"{lock}.txt").read_text()
    return dict(re.findall(r"^([a-z0-9-]+)==([^ ]+)", text, re.MULTILINE))


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_address_and_no_path(lock: str) -> None:
    text = (ROOT / "requirements" / f"{lock}.txt").read_text()

    assert packages(lock)
    assert not re.findall(r"://|file:|index|find-links|^-|/", text, re.MULTILINE)


@pytest.mark.parametrize("lock", LOCKS)
def test_every_locked_package_has_its_hashes(lock: str) -> None:
    text = (ROOT / "requirements" / f"{lock}.txt").read_text()

    blocks = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]

    assert len(blocks) == len(packages(lock))
    assert [block for block in blocks if "--hash=sha256:" not in block] == []


def test_the_locks_reach_beyond_the_machine_that_made_them() -> None:
    """Compiled packages are locked for other systems and other versions of Python, too."""
    text = (ROOT / "requirements" / "runtime.txt").read_text()
    pydantic_core = text.partition("pydantic-core==")[2].partition("==")[0]

    assert pydantic_core.count("--hash=") > 50


def test_what_runs_is_what_is_tested() -> None:
    dev = packages("dev")

    assert {name: dev.get(name) for name in packages("runtime")} == packages("runtime")


def test_the_lowest_lock_holds_the_lower_bounds() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    dependencies = project.partition("dependencies = [")[2].partition("]")[0]
    bounds = re.findall(r'"([A-Za-z-]+)>=([0-9.]+)"', dependencies)
    lowest = packages("lowest")

    assert len(bounds) >= 8
    for name, bound in bounds:
        assert lowest[name.lower()].startswith(bound), name


@pytest.mark.parametrize("page", PAGES)
def test_a_page_names_only_settings_that_exist(page: str) -> None:
    known = {env_name(name) for name in Settings.model_fields}

    named = set(re.findall(r"\bNAS_[A-Z_]*[A-Z]\b", (ROOT / page).read_text()))

    assert named - known - {"NAS_SYNCD"} == set()


@pytest.mark.parametrize("page", PAGES)
def test_a_page_links_only_to_files_that_exist(page: str) -> None:
    links = re.findall(r"\]\(([^):#]+)\)", (ROOT / page).read_text())

    missing = [link for link in links if not ((ROOT / page).parent / link).exists()]

    assert missing == []


def test_both_readmes_tell_of_the_same_commands_and_exit_codes() -> None:
    english, french = ((ROOT / page).read_text() for page in READMES)
    row = re.compile(r"^\| `?(nas-syncd \w+|\d+)\b", re.MULTILINE)

    assert len(row.findall(english)) >= 15
    assert row.findall(english) == row.findall(french)


def test_the_readme_offers_nothing_that_is_only_planned() -> None:
    for page in READMES:
        offered = set(re.findall(r"`nas-syncd (\w+)", (ROOT / page).read_text()))
        assert offered.isdisjoint(PLANNED), page


def test_the_changelog_tells_of_this_version() -> None:
    assert f"## {nas_syncd.__version__}" in (ROOT / "CHANGELOG.md").read_text()


@pytest.mark.parametrize("script", [".ci/run", "tests/lab/install"])
def test_a_script_can_be_run(script: str) -> None:
    assert os.access(ROOT / script, os.X_OK)


def test_only_the_settings_read_the_environment() -> None:
    readers = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "nas_syncd").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "environb", "getenv")
    }

    # The agent reads no setting: it hands a few variables on to its child, and no other.
    allowed = {"nas_syncd/settings/", "nas_syncd/agent/process.py"}
    assert {reader for reader in readers if not reader.startswith(tuple(allowed))} == set()
