"""Rules about the repository's files themselves."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

MOST_LINES = 440  # "about 400": a file that grows past it is split
GENERATED_OR_LOCKED = (".lock", "go.sum", "oceansites.yaml", "values.schema.json", "gateway-openapi.json")
FOLDERS_OF_NO_ONE = {".git", ".venv", "__pycache__", ".mypy_cache", ".ruff_cache", ".hypothesis", "dist", "target"}

# Put together here, so that this file does not hold what it looks for.
REGISTRIES = tuple(
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "org"),
        ("npmjs", "com"),
        ("proxy", "golang", "org"),
        ("sum", "golang", "org"),
        ("repo", "maven", "apache", "org"),
        ("repo1", "maven", "org"),
        ("crates", "io"),
        ("rubygems", "org"),
        ("deb", "debian", "org"),
    )
)
MACHINE_PATH = re.compile(r"(?<![A-Za-z0-9_.}-])/(?:work|home|root|Users|builds)/[A-Za-z0-9_.]")


def files(root: Path) -> list[Path]:
    """Every file that is, or would be, in the repository."""
    git = shutil.which("git")
    if git and (root / ".git").exists():
        listed = subprocess.run(  # noqa: S603 - git, by its full path
            [git, "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
            cwd=root,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split("\0")
        return [path for name in listed if name and (path := root / name).is_file()]
    return [p for p in root.rglob("*") if p.is_file() and not FOLDERS_OF_NO_ONE & set(p.relative_to(root).parts)]


@pytest.fixture(scope="module")
def texts(root: Path) -> dict[str, str]:
    """The repository's text files by their path."""
    found = {}
    for path in files(root):
        try:
            found[str(path.relative_to(root))] = path.read_text()
        except UnicodeDecodeError:
            continue
    return found


def test_the_repository_is_seen(texts: dict[str, str]) -> None:
    """Or the other tests would pass for want of files."""
    assert {"pyproject.toml", "crds/ocean_api/names.py", "tests/unit/project/test_files.py"} <= set(texts)
    assert len(texts) > 200


def test_no_file_is_too_long_to_be_read(texts: dict[str, str]) -> None:
    long = {
        path: text.count("\n")
        for path, text in texts.items()
        if not path.endswith(GENERATED_OR_LOCKED) and text.count("\n") > MOST_LINES
    }

    assert long == {}


def test_the_standard_librarys_operator_is_not_hidden(root: Path) -> None:
    assert not (root / "operator" / "__init__.py").exists()


def test_no_registry_is_named(texts: dict[str, str]) -> None:
    """Whoever installs from a mirror of his own must not find another address in a lock file or a script."""
    named = [f"{path}: {host}" for path, text in texts.items() for host in REGISTRIES if host in text]

    assert named == []


def test_the_locks_hold_hashes_and_no_index(texts: dict[str, str]) -> None:
    locks = {path: text for path, text in texts.items() if path.startswith("requirements") and path.endswith(".lock")}

    assert {"requirements.lock", "requirements-dev.lock"} <= set(locks)
    for path, text in locks.items():
        pinned = [line for line in text.splitlines() if re.match(r"[a-z0-9]", line)]

        assert "://" not in text, path
        assert "--index" not in text, path
        assert pinned, path
        assert all("==" in line for line in pinned), path
        assert text.count("--hash=sha256:") >= len(pinned), path


def test_no_path_of_a_build_machine_is_named(texts: dict[str, str]) -> None:
    named = [f"{path}: {m.group()}" for path, text in texts.items() for m in MACHINE_PATH.finditer(text)]

    assert named == []


@pytest.mark.parametrize("path", ["/%s/main/x.py", "see /%s/.cache", '"/%s/a"'])
@pytest.mark.parametrize("top", ["work", "home", "root"])
def test_such_a_path_would_be_noticed(path: str, top: str) -> None:
    assert MACHINE_PATH.search(path % top)


@pytest.mark.parametrize("text", ["https://example.org/%s/x", "a/%s/b", "${HOME}/%s/b", "/%s"])
def test_other_paths_are_not_mistaken_for_one(text: str) -> None:
    assert not MACHINE_PATH.search(text % "work")
