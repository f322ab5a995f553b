"""`ocean-migrate` as its Job runs it: a process, told everything by its environment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import psycopg

from integration.installation import CONTROL_NAMESPACE, Installation


def _environment(installation: Installation, token: Path, **changes: str) -> dict[str, str]:
    settings = installation.migrate_settings()
    return {
        **os.environ,
        "OCEAN_VAULT_ADDRESS": settings.vault_address,
        "OCEAN_VAULT_CA_FILE": str(settings.vault_ca_file),
        "OCEAN_DATABASE_HOST": settings.database_host,
        "OCEAN_DATABASE_PORT": str(settings.database_port),
        "OCEAN_DATABASE_CA_FILE": str(settings.database_ca_file),
        "OCEAN_TOKEN_FILE": str(token),
        **changes,
    }


def _start(environment: dict[str, str]) -> subprocess.Popen[str]:
    program = Path(sys.executable).parent / "ocean-migrate"
    return subprocess.Popen([program], env=environment, stderr=subprocess.PIPE, text=True)  # noqa: S603 - ours


def test_job_waits_for_the_database(installation: Installation) -> None:
    """Nothing has to be started in order."""
    token = installation.token_file(installation.token(CONTROL_NAMESPACE, "ocean-migrate"))
    installation.server.kill()
    with _start(_environment(installation, token)) as job:
        assert job.stderr is not None
        first = json.loads(job.stderr.readline())
        installation.server.start()
        rest = [json.loads(line) for line in job.stderr]

    assert (first["event"], first["reason"]) == ("waiting", "VaultUnavailable")
    assert rest[-1]["event"] == "up to date"
    assert job.returncode == 0


def test_job_that_is_refused_fails_and_says_why(installation: Installation) -> None:
    """Another account's token: Vault knows it, and it may not migrate."""
    token = installation.token_file(installation.token(CONTROL_NAMESPACE, "ocean-operator"))
    with _start(_environment(installation, token, OCEAN_WAIT_SECONDS="0")) as job:
        assert job.stderr is not None
        said = [json.loads(line) for line in job.stderr]

    assert [line["reason"] for line in said] == ["VaultAccessRefused"]
    assert job.returncode == 1


def test_job_leaves_no_login_behind(installation: Installation) -> None:
    token = installation.token_file(installation.token(CONTROL_NAMESPACE, "ocean-migrate"))
    with _start(_environment(installation, token)) as job:
        job.communicate()
    assert job.returncode == 0

    with psycopg.connect(installation.server.admin) as admin:
        left = admin.execute(
            """
            select member.rolname from pg_auth_members join pg_roles as member on member.oid = pg_auth_members.member
             where roleid = 'ocean_owner'::regrole and member.rolcanlogin
            """
        ).fetchall()
    assert left == []
