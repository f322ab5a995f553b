"""The disk under PostgreSQL is full: nothing is accepted that is not kept, and work goes on once there is room."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from integration.installation import Installation, make_reviewer, surroundings
from integration.proof.checker import findings
from integration.proof.landscape import PATIENTS, Landscape, end, make_landscape
from integration.sync.clinic import Tls
from ocean_dev.control_plane import ControlPlane
from ocean_dev.packages import require_root
from ocean_dev.servers.openbao import openbao
from ocean_dev.servers.postgres import postgres
from ocean_emr.store.migrate import migrate
from ocean_emr.testing.ocean_sim import OceanSim

ROOM = 200 * 2**20


@contextlib.contextmanager
def small_disk() -> Iterator[Path]:
    """A file system of its own that holds little, where PostgreSQL's own account can reach it."""
    require_root("A test of a full disk")
    folder = Path(tempfile.mkdtemp(prefix="ocean-disk-"))
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", folder], check=True)  # noqa: S603, S607
    try:
        folder.chmod(0o755)
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)  # noqa: S603, S607
        folder.rmdir()


@pytest.fixture
def disk() -> Iterator[Path]:
    with small_disk() as made:
        yield made


@pytest.fixture
def landscape(disk: Path, tmp_path: Path, tls: Tls, running_ocean: OceanSim) -> Iterator[Landscape]:
    """As in the other proofs, on a database whose disk is small."""
    with (
        ControlPlane.start(tmp_path / "plane") as cluster,
        postgres(parent=disk) as database,
        openbao(surroundings(cluster, database, make_reviewer(cluster))) as bao,
    ):
        installed = Installation(cluster, database, bao, tmp_path / "tokens")
        installed.folder.mkdir()
        installed.prepare()
        anyio.run(migrate, installed.migrate_settings())
        made = make_landscape(installed, tmp_path / "clinics", running_ocean, tls, clinics=1)
        yield made
        end(made)


def test_nothing_is_lost_when_the_disk_is_full(landscape: Landscape, disk: Path) -> None:
    (clinic,) = landscape.clinics
    clinic.worker.start()
    for chart in PATIENTS:
        landscape.complete(clinic, chart)
    landscape.until(landscape.drained, "the first messages are delivered")
    filler = disk / "filler"
    _fill(filler)
    for chart in PATIENTS * 3:
        landscape.complete(clinic, chart, text="x" * 20_000)
    ledger = landscape.ocean.webhooks.ledger
    landscape.until(lambda: any(503 in told.answers for told in ledger(clinic.ocean.site_number)), "it is refused")
    filler.unlink()
    # A server that has ended for want of room is started again, as its controller does.
    landscape.installation.server.kill()
    landscape.installation.server.start()
    landscape.until(landscape.drained, "everything is delivered")
    accepted = landscape.accepted()

    assert len(accepted) == len(PATIENTS) * 4
    assert findings(accepted, landscape.seen(), {}).wrong == {}


def _fill(path: Path) -> None:
    """Leave no byte free."""
    block = b"\0" * 2**16
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(block)
    with contextlib.suppress(OSError), path.open("ab", buffering=0) as file:
        while True:
            file.write(b"\0")
