"""What kopf does besides is kept small: a fleet has thousands of objects, and their events pass through it."""

from __future__ import annotations

from typing import Any

import kopf

from ocean_operator.handlers.watches import NothingRemembered, configure

BODY: Any = {"metadata": {"uid": "u1", "name": "a", "namespace": "n", "annotations": {"a": "b"}}, "spec": {"x": [1]}}


async def test_nothing_is_remembered_for_an_object_between_two_events() -> None:
    memories = NothingRemembered()
    first = await memories.recall(BODY, noticed_by_listing=True, memobase=None)
    second = await memories.recall(BODY, noticed_by_listing=False, memobase=None)

    assert first is not second
    assert list(memories.iter_all_memories()) == []


def test_no_body_is_copied_for_handlers_of_changes() -> None:
    settings = kopf.OperatorSettings()
    configure(settings)
    storage = settings.persistence.diffbase_storage

    assert storage.build(body=kopf.Body(BODY)) == {}
    assert storage.fetch(body=kopf.Body(BODY)) is None
