"""The operator has to serve a thousand clinics in 120 MB, most of which are libraries: none is loaded for nothing."""

from __future__ import annotations

import json
import subprocess
import sys

PROGRAM = """
import gc, json, sys
from ocean_api import lean
lean.begin()
import ocean_operator.program
lean.ready()
loaded = {name.partition(".")[0] for name, module in sys.modules.items() if module is not None}
print(json.dumps([sorted(loaded), gc.isenabled(), gc.get_freeze_count() > 0]))
"""


def test_the_operator_loads_nothing_for_people_and_nothing_of_the_clinics_pods() -> None:
    """In a process of its own, since tests load everything."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)  # noqa: S603
    loaded, collects, frozen = json.loads(done.stdout)

    assert not {"rich", "pygments", "typer", "chardet", "charset_normalizer"} & set(loaded)
    assert not {"ocean_emr", "httpx", "sqlalchemy", "cryptography"} & set(loaded)
    assert done.stderr == "", "nothing is said about what is left out"
    assert {"kopf", "hvac", "psycopg", "structlog", "uvicorn"} <= set(loaded)
    assert (collects, frozen) == (True, True)
