"""The control-plane cluster is a real one, and it leaves nothing running."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ocean_dev import existing
from ocean_dev.control_plane import ControlPlane
from ocean_dev.errors import CommandError
from ocean_dev.paths import run_dir

JOB = """\
apiVersion: batch/v1
kind: Job
metadata: {name: once}
spec:
  template:
    spec:
      restartPolicy: Never
      containers: [{name: main, image: nothing}]
"""

STARTS_AND_WAITS = """\
import sys
from pathlib import Path
from ocean_dev.control_plane import ControlPlane
plane = ControlPlane.start(Path(sys.argv[1]))
print(*(server.pid for server in plane.servers.values()), flush=True)
sys.stdin.read()
"""


def test_controllers_work(control_plane: ControlPlane) -> None:
    """A Job gets its pod: the controller manager is there, not only a store of objects."""
    control_plane.kubectl("create", "namespace", "works")
    control_plane.kubectl("apply", "-n", "works", "-f", "-", input=JOB)
    control_plane.kubectl("wait", "-n", "works", "job/once", "--for=jsonpath={.status.active}=1", "--timeout=60s")

    pods = control_plane.kubectl("get", "pods", "-n", "works", "-o", "jsonpath={.items[*].status.phase}")

    assert pods == "Pending"


def test_users_may_do_what_rbac_grants_and_no_more(control_plane: ControlPlane) -> None:
    control_plane.kubectl("create", "clusterrolebinding", "readers", "--clusterrole=view", "--group=readers")
    reader = control_plane.user_kubeconfig("p0001", ["readers"])

    control_plane.kubectl_as(reader, "get", "pods")

    with pytest.raises(CommandError, match='User "p0001" cannot list resource "secrets"'):
        control_plane.kubectl_as(reader, "get", "secrets")


def test_a_token_of_a_service_account_is_for_its_audience_only(control_plane: ControlPlane) -> None:
    """What Vault's tests rest on: the API server checks audiences as it does in production."""
    control_plane.kubectl(
        "create", "clusterrolebinding", "own", "--clusterrole=view", "--serviceaccount=default:default"
    )
    login = ["get", "pods", f"--server={control_plane.server}", f"--certificate-authority={control_plane.ca_file}"]
    nobody = Path(os.devnull)

    own = control_plane.service_account_token("default", "default")
    foreign = control_plane.service_account_token("default", "default", audience="vault")

    control_plane.kubectl_as(nobody, *login, f"--token={own}")
    with pytest.raises(CommandError, match="Unauthorized"):
        control_plane.kubectl_as(nobody, *login, f"--token={foreign}")


def test_the_audit_log_says_who_did_what(control_plane: ControlPlane) -> None:
    control_plane.kubectl("create", "configmap", "audited")

    events = [json.loads(line) for line in control_plane.audit_log.read_text().splitlines()]
    creators = [
        event["user"]["username"]
        for event in events
        if event["verb"] == "create" and event.get("objectRef", {}).get("name") == "audited"
    ]

    assert creators == ["local-admin"]


def test_objects_outlive_a_crash_of_the_api_server(tmp_path: Path) -> None:
    with ControlPlane.start(tmp_path) as plane:
        plane.kubectl("create", "configmap", "kept")
        plane.servers["kube-apiserver"].kill()
        plane.start_server("kube-apiserver")
        plane.wait_ready()

        assert plane.kubectl("get", "configmap", "kept", "-o", "name") == "configmap/kept\n"


def test_servers_end_with_the_program_that_started_them(tmp_path: Path) -> None:
    """Even when it is killed: a cut-off test run leaves no API server behind."""
    with subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-c", STARTS_AND_WAITS, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as program:
        assert program.stdout is not None
        servers = [os.pidfd_open(int(pid)) for pid in program.stdout.readline().split()]
        program.send_signal(signal.SIGKILL)

    ended = [bool(select.select([server], [], [], 10)[0]) for server in servers]
    for server, gone in zip(servers, ended, strict=True):
        if not gone:
            signal.pidfd_send_signal(server, signal.SIGKILL)
        os.close(server)

    assert ended == [True, True, True]


@pytest.mark.parametrize(
    ("environment", "chosen"),
    [
        ({}, False),
        ({"USE_CLUSTER": "1"}, True),
        ({"USE_CLUSTER": "0"}, False),
        ({"KUBECONFIG": "/somebody/elses"}, True),
        ({"KUBECONFIG": str(run_dir() / "admin.kubeconfig")}, False),
    ],
)
def test_an_existing_cluster_is_used_when_it_is_named(environment: dict[str, str], *, chosen: bool) -> None:
    assert existing.is_chosen(environment) is chosen
