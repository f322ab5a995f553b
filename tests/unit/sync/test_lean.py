from __future__ import annotations

import json
import subprocess
import sys

PROGRAM = """
import gc, json, sys
from ocean_api import lean
lean.begin("click")
import ocean_emr.sync.program, ocean_emr.adapters.oscar, ocean_emr.adapters.fhir_r4
lean.ready()
loaded = {name.partition(".")[0] for name, module in sys.modules.items() if module is not None}
print(json.dumps([sorted(loaded), gc.isenabled(), gc.get_freeze_count() > 0]))
"""


def test_program_of_a_pod_loads_nothing_for_people_or_for_kubernetes() -> None:
    """In a process of its own, since tests load everything."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)  # noqa: S603
    loaded, collects, frozen = json.loads(done.stdout)

    assert not {"rich", "click", "pygments", "typer", "kopf", "kubernetes", "aiohttp", "sqlalchemy"} & set(loaded)
    assert not {"chardet", "charset_normalizer"} & set(loaded)
    assert done.stderr == "", "nothing is said about what is left out"
    assert {"httpx", "structlog", "psycopg", "hvac", "pydantic"} <= set(loaded)
    assert (collects, frozen) == (True, True)


def test_program_says_how_it_is_used() -> None:
    command = [sys.executable, "-m", "ocean_emr.sync.main", "yesterday"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603

    assert done.returncode == 2
    assert "usage: ocean-sync" in done.stderr
    assert "{recent,full}" in done.stderr
