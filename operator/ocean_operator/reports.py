"""Follows what the clinics' pods report, and has each clinic that said something new looked at."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Final

import pydantic
import structlog

from ocean_api.report import CheckReport, Process, SyncReport, WorkerReport
from ocean_operator.database import DatabaseError, State
from ocean_operator.packed import pack
from ocean_operator.runtime import Reports, Runtime, Stores

_DEBOUNCE_SECONDS: Final = 0.05
"""A thousand pods that report at once then cost a few reads instead of a thousand."""

log = structlog.get_logger(__name__)


async def follow_reports(runtime: Runtime, stores: Stores) -> None:
    """Keep `runtime.reports` as the table is, for ever."""
    mark = 0
    async for _ in stores.database.changes():
        try:
            states, mark = await stores.database.states_since(mark)
        except DatabaseError as error:
            log.warning("reports not readable", error=str(error))
            await asyncio.sleep(1)
            continue
        for state in states:
            _take(state, runtime)
        if not runtime.reports_loaded:
            runtime.reports_loaded = True
            for key in runtime.observed.site_keys():
                runtime.sites.add(key)
        await asyncio.sleep(_DEBOUNCE_SECONDS)


def _take(state: State, runtime: Runtime) -> None:
    before = runtime.reports.get(state.site, Reports())
    after = _with(before, state)
    if after == before:
        return
    runtime.reports[state.site] = after
    runtime.sites.add(state.site)
    # What was said before a restart has been acted on, or the pass over the clinic finds that it is not settled.
    if after.check != before.check and (runtime.reports_loaded or state.site in runtime.keys):
        runtime.externals.add(state.site)
    if after.worker != before.worker:
        runtime.look_at_queues.set()


def _with(before: Reports, state: State) -> Reports:
    """With what `state` says, unless that cannot be read."""
    try:
        if state.process == Process.CHECK:
            CheckReport.model_validate(state.document)
            return replace(before, check=pack(state.document))
        if state.process == Process.SYNC:
            SyncReport.model_validate(state.document)
            return replace(before, sync=pack(state.document))
        if state.process == Process.WORKER:
            WorkerReport.model_validate(state.document)
            return replace(before, worker=pack(state.document))
    except pydantic.ValidationError as error:
        log.warning("report not readable", site=str(state.site), process=state.process, problems=error.error_count())
    return before
