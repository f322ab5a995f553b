"""Links of the documentation, and the pages that messages send people to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

from ocean_api.reasons import EXPLANATIONS

FENCED = re.compile(r"^ *(```|~~~).*?^ *\1[^\S\n]*$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`[^`\n]*`")
LINK = re.compile(r"\]\(<?([^()\s<>]+)>?(?:\s+\"[^\"]*\")?\)")
HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$", re.MULTILINE)
ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:|//")
NAMED_PAGE = re.compile(r"docs/[\w./-]*\w(?:\.md)?/?")


def pages(root: Path) -> list[Path]:
    """Every Markdown file, but for those of tools, whose folders begin with a dot."""
    return sorted(p for p in root.rglob("*.md") if not any(part.startswith(".") for part in p.relative_to(root).parts))


def links(text: str) -> list[str]:
    """The targets of inline links in the prose of `text` that lead into the repository."""
    prose = CODE.sub("", FENCED.sub("", text))
    return [target for target in LINK.findall(prose) if not ELSEWHERE.match(target)]


def anchors(text: str) -> set[str]:
    """What can stand after `#`. Source: GitHub Docs, "Basic writing and formatting syntax", section links."""
    found: set[str] = set()
    for heading in HEADING.findall(FENCED.sub("", text)):
        shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        slug = re.sub(r"[^\w\- ]", "", shown).replace(" ", "-")
        found.add(next(name for name in _numbered(slug) if name not in found))
    return found


def _numbered(slug: str) -> Iterator[str]:
    yield slug
    number = 1
    while True:
        yield f"{slug}-{number}"
        number += 1


def broken(page: Path, root: Path) -> list[str]:
    """The links of `page` that lead nowhere, or out of the repository."""
    return [target for target in links(page.read_text()) if not _leads_somewhere(target, page, root)]


def _leads_somewhere(target: str, page: Path, root: Path) -> bool:
    path, _, anchor = target.partition("#")
    place = (page.parent / unquote(path)).resolve() if path else page
    if not place.is_relative_to(root) or not place.exists():
        return False
    return not anchor or (place.suffix == ".md" and anchor in anchors(place.read_text()))


def test_every_link_leads_somewhere(root: Path) -> None:
    found = {str(page.relative_to(root)): wrong for page in pages(root) if (wrong := broken(page, root))}

    assert len(pages(root)) > 20
    assert found == {}


def test_every_page_can_be_found_from_the_index(root: Path) -> None:
    index = root / "docs" / "README.md"
    linked = {(index.parent / target.partition("#")[0]).resolve() for target in links(index.read_text())}

    assert {p for p in pages(root) if p.is_relative_to(index.parent)} - linked - {index} == set()


def test_every_page_that_a_remedy_names_is_there(root: Path) -> None:
    named = {page for e in EXPLANATIONS.values() for page in NAMED_PAGE.findall(f"{e.meaning} {e.remedy}")}

    assert named
    assert {page for page in named if not (root / page).exists()} == set()


@pytest.mark.parametrize(
    "target",
    ["missing.md", "there.md#nowhere", "#nowhere", "../outside.md", "folder/missing.md", "there.md#in-a-fence"],
)
def test_a_link_that_leads_nowhere_is_noticed(tmp_path: Path, target: str) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "outside.md").write_text("")
    (root / "there.md").write_text("# Here\n```\n# In a fence\n```\n")
    page = root / "page.md"
    page.write_text(f"# Page\nsee [this]({target}).\n")

    assert broken(page, root) == [target]


@pytest.mark.parametrize(
    "target",
    ["there.md", "there.md#what-it-may-do", "there.md#twice-1", "#page", "folder/", "https://example.org/x.md"],
)
def test_a_link_that_leads_somewhere_is_not(tmp_path: Path, target: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "there.md").write_text("# What it `may` do?\n## Twice\n## Twice\n")
    page = tmp_path / "page.md"
    page.write_text(f"# Page\nsee [this]({target}), not `[that](code.md)`.\n")

    assert broken(page, tmp_path) == []
