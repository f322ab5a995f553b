"""What kopf is asked to do: watch, index and log in. Everything else stores state in objects or demands finalizers."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any, cast

import kopf
import pytest

from ocean_operator.cluster import Cluster
from ocean_operator.handlers.selectors import WATCHED_CHILDREN
from ocean_operator.handlers.watches import configure, register
from ocean_operator.runtime import Runtime, platform_of
from ocean_operator.settings import OperatorSettings

ALLOWED = {"on.event", "on.login"}
DECORATORS = {
    *(f"on.{name}" for name in dir(kopf.on) if not name.startswith("_")),
    "timer",
    "daemon",
    "index",
}


@pytest.fixture
def registry() -> Any:
    """Kopf's registry after our registration. Its lists are private: there is no public way to read them."""
    made: Any = kopf.OperatorRegistry()
    settings = OperatorSettings()
    register(made, Runtime(settings, platform_of(settings), cast("Cluster", None), None))
    return made


def handlers(part: Any) -> list[Any]:
    """The handlers of one part of the registry."""
    return list(part.get_all_handlers())


def test_nothing_but_events_is_registered(registry: Any) -> None:
    assert handlers(registry._changing) == []
    assert handlers(registry._spawning) == []
    assert handlers(registry._webhooks) == []
    assert [handler.activity.value for handler in handlers(registry._activities)] == ["authentication"]


def test_every_kind_is_watched_and_none_is_indexed(registry: Any) -> None:
    """With indices every object that waits is woken for every other one: a fleet would take minutes to start."""
    watched = {handler.selector.any_name for handler in handlers(registry._watching)}

    assert len(watched) == len(WATCHED_CHILDREN) + 2
    assert handlers(registry._indexing) == []


def test_kopf_is_not_limited_in_a_way_that_stops_it() -> None:
    """Fewer workers than objects would each linger for the idle time-out before the next begins."""
    settings = kopf.OperatorSettings()
    configure(settings)

    assert settings.queueing.worker_limit is None
    assert settings.watching.inactivity_timeout is not None
    assert settings.watching.inactivity_timeout >= 62
    assert settings.posting.enabled is False
    assert len(settings.watching.label_selectors) == len(WATCHED_CHILDREN) + 1


def kopf_calls(source: str) -> set[str]:
    """Kopf's decorators that a module names, as `on.event`."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and ast.unparse(node).startswith("kopf."):
            found.add(ast.unparse(node).removeprefix("kopf."))
    return found & DECORATORS


def test_no_module_names_another_kind_of_handler(root: Path) -> None:
    modules = (root / "operator").rglob("*.py")
    named = {name for path in modules for name in kopf_calls(path.read_text())}

    assert named == ALLOWED


@pytest.mark.parametrize("name", ["on.create", "on.update", "on.resume", "on.delete", "on.field", "timer", "daemon"])
def test_another_kind_would_be_noticed(name: str) -> None:
    assert kopf_calls(f"import kopf\n@kopf.{name}('things')\ndef f(**_): ...") == {name}
