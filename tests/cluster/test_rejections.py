"""What is refused at `kubectl apply`, in the words a person sees.

Each file under rejected/ is one example. Its head says who refuses it (the schema of the CRD, or the operator's
admission) and what must be said; where it holds two objects, the first one is accepted and stands when the second
one comes.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.operators import running_operator, until
from ocean_dev.control_plane import ControlPlane
from ocean_dev.errors import CommandError
from ocean_dev.servers.ports import free_port

CRD = Path(__file__).parents[2] / "crds" / "oceansites.yaml"
NAMESPACES = ("clinic-north", "clinic-south")
SYSTEM = "rejections-system"
WEBHOOKS = "rejections"
GOOD = "no-days"
"""An example that is made good by its days, for what must be let in."""


@dataclass(frozen=True)
class Example:
    """One file."""

    path: Path
    refused_by: str
    messages: tuple[str, ...]
    before: tuple[dict[str, Any], ...]
    refused: dict[str, Any]

    @property
    def text(self) -> str:
        """What is applied in vain."""
        return yaml.safe_dump(self.refused)


def example(path: Path) -> Example:
    """The example in `path`."""
    text = path.read_text()
    (refused_by,) = re.findall(r"^# refused by: (.+)$", text, re.MULTILINE)
    *before, refused = yaml.safe_load_all(text)
    messages = tuple(re.findall(r"^# message: (.+)$", text, re.MULTILINE))
    return Example(path, refused_by, messages, tuple(before), refused)


EXAMPLES = {path.stem: example(path) for path in sorted((Path(__file__).parent / "rejected").glob("*.yaml"))}


def by(whom: str) -> list[Any]:
    """The examples that are refused there."""
    return [pytest.param(found, id=name) for name, found in EXAMPLES.items() if found.refused_by == whom]


@pytest.fixture(scope="module")
def plane(control_plane: ControlPlane) -> ControlPlane:
    """The API server with the CRD and the clinics' namespaces."""
    control_plane.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(CRD))
    control_plane.kubectl("wait", "--for=condition=Established", "--timeout=30s", f"-f={CRD}")
    for name in (*NAMESPACES, SYSTEM):
        made = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        control_plane.kubectl("apply", "-f", "-", input=yaml.safe_dump(made))
    return control_plane


@pytest.fixture
def stood(request: pytest.FixtureRequest, plane: ControlPlane) -> Iterator[None]:
    """What the example needs to be there first; nothing of it stays."""
    found: Example = request.getfixturevalue("found")
    for body in found.before:
        plane.kubectl("apply", "-f", "-", input=yaml.safe_dump(body))
    yield
    every = yaml.safe_dump_all([*found.before, found.refused])
    plane.kubectl("delete", "--ignore-not-found", "--wait=false", "-f", "-", input=every)


def refusal(plane: ControlPlane, found: Example) -> str:
    """What kubectl says when the example is applied."""
    with pytest.raises(CommandError) as caught:
        plane.kubectl("apply", "-f", "-", input=found.text)
    return str(caught.value)


def stored(plane: ControlPlane, found: Example) -> dict[str, Any] | None:
    """The spec that stands under the example's name."""
    meta = found.refused["metadata"]
    text = plane.kubectl("get", "oceansite", meta["name"], "-n", meta["namespace"], "--ignore-not-found", "-oyaml")
    spec: dict[str, Any] | None = (yaml.safe_load(text) or {}).get("spec")
    return spec


def check(plane: ControlPlane, found: Example) -> None:
    """It is refused with its messages, and nothing has changed."""
    standing = stored(plane, found) if found.before else None
    said = refusal(plane, found)

    assert found.messages
    for message in found.messages:
        assert message in said
    assert stored(plane, found) == standing


@pytest.mark.usefixtures("stood")
@pytest.mark.parametrize("found", by("schema"))
def test_the_schema_refuses(plane: ControlPlane, found: Example) -> None:
    """Without any operator: the CRD alone."""
    check(plane, found)


def test_the_same_file_is_let_in_once_it_is_put_right(plane: ControlPlane) -> None:
    """Or all the refusals could have another cause."""
    text = EXAMPLES[GOOD].path.read_text().replace("days: 0", "days: 1")

    assert "created" in plane.kubectl("apply", "-f", "-", input=text)
    plane.kubectl("delete", "-f", "-", input=text)


# Through the operator


@pytest.fixture(scope="module")
def admission(plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """The API server asks a running operator, for the clinics' namespaces alone.

    Another replica holds the Lease, so this one never leads: every replica answers reviews.
    """
    port = free_port()
    plane.kubectl("apply", "-f", "-", input=yaml.safe_dump_all([_anothers_lease(), _webhooks(port)]))
    _label(plane, "true")
    log = tmp_path_factory.mktemp("operator") / "log"
    with running_operator(
        plane,
        log,
        OCEAN_NAMESPACE=SYSTEM,
        OCEAN_WEBHOOK_PORT=str(port),
        OCEAN_WEBHOOK_CONFIGURATION=WEBHOOKS,
    ) as operator:
        bundle = "--for=jsonpath={.webhooks[0].clientConfig.caBundle}"
        plane.kubectl("wait", bundle, "--timeout=60s", f"validatingwebhookconfiguration/{WEBHOOKS}")
        until(lambda: _listens(port), "the operator takes reviews")
        until(lambda: _refuses(plane), "the API server asks the operator")
        yield plane
        assert not operator.leads
    plane.kubectl("delete", "validatingwebhookconfiguration", WEBHOOKS)
    _label(plane, "false")


def _anothers_lease() -> dict[str, Any]:
    """A Lease that nobody can take for an hour."""
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "ocean-operator", "namespace": SYSTEM},
        "spec": {"holderIdentity": "another-replica", "leaseDurationSeconds": 3600},
    }


def _webhooks(port: int) -> dict[str, Any]:
    """As the chart makes it, but for the address; the operator fills in whom to trust."""
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": WEBHOOKS},
        "webhooks": [
            {
                "name": "oceansites.ocean.cloudconnect.dev",
                "clientConfig": {"url": f"https://127.0.0.1:{port}/validate"},
                "rules": [
                    {
                        "apiGroups": ["ocean.cloudconnect.dev"],
                        "apiVersions": ["v1alpha1"],
                        "operations": ["CREATE", "UPDATE"],
                        "resources": ["oceansites"],
                    }
                ],
                "matchConditions": [
                    {"name": "not-being-deleted", "expression": "!has(object.metadata.deletionTimestamp)"},
                    {
                        "name": "spec-is-new",
                        "expression": "request.operation == 'CREATE' || object.spec != oldObject.spec",
                    },
                ],
                "namespaceSelector": {"matchLabels": {"rejections": "true"}},
                "failurePolicy": "Fail",
                "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
            }
        ],
    }


def _label(plane: ControlPlane, value: str) -> None:
    plane.kubectl("label", "--overwrite", "namespace", *NAMESPACES, f"rejections={value}")


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _refuses(plane: ControlPlane) -> bool:
    """Whether the API server has taken the configuration up: it watches it, which takes a moment."""
    try:
        plane.kubectl("apply", "--dry-run=server", "-f", "-", input=EXAMPLES["no-time-zone"].text)
    except CommandError as error:
        return "is not an IANA time zone" in str(error)
    return False


@pytest.mark.usefixtures("stood")
@pytest.mark.parametrize("found", by("operator"))
def test_the_operator_refuses(admission: ControlPlane, found: Example) -> None:
    check(admission, found)


@pytest.mark.usefixtures("stood")
@pytest.mark.parametrize("found", [pytest.param(EXAMPLES["loopback-address"], id="loopback-address")])
def test_a_dry_run_is_refused_in_the_same_words(admission: ControlPlane, found: Example) -> None:
    """What Argo CD and a careful person do first."""
    with pytest.raises(CommandError, match="is a loopback, link-local, private or cluster address"):
        admission.kubectl("apply", "--dry-run=server", "-f", "-", input=found.text)


def doubtful(days: int, url: str) -> str:
    """A site that is let in."""
    body = yaml.safe_load(EXAMPLES[GOOD].path.read_text())
    body["spec"]["schedule"]["days"] = days
    body["spec"]["emr"]["oscarPro"]["url"] = url
    return yaml.safe_dump(body)


@pytest.mark.parametrize(
    ("days", "url", "warning"),
    [
        (20, "https://emr.example.org/oscar", "spec.schedule.days is 20: more than 14 cost noticeable bandwidth"),
        (1, "https://emr.example.org/", "spec.emr.oscarPro.url has no context path; OSCAR usually lives below one"),
    ],
    ids=["days", "context path"],
)
def test_kubectl_shows_the_operators_warnings(admission: ControlPlane, days: int, url: str, warning: str) -> None:
    text = doubtful(days, url)
    with pytest.raises(CommandError) as caught:
        admission.kubectl("apply", "--warnings-as-errors", "-f", "-", input=text)

    assert f"Warning: {warning}" in str(caught.value)
    assert "created" in str(caught.value)
    admission.kubectl("delete", "-f", "-", input=text)


def test_a_plain_site_is_let_in_without_a_warning(admission: ControlPlane) -> None:
    text = doubtful(14, "https://emr.example.org/oscar")

    assert "created" in admission.kubectl("apply", "--warnings-as-errors", "-f", "-", input=text)
    admission.kubectl("delete", "-f", "-", input=text)
