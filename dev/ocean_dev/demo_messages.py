"""The second half of `make demo`: a patient completes a questionnaire at Ocean, and its note is in the clinic's chart.

Then the EMR is taken away, another one is completed, and the EMR comes back: the message has waited, and arrives.
"""

from __future__ import annotations

import json
import secrets
from typing import Any, Final

from ocean_api import names
from ocean_dev.certificates import Authority
from ocean_dev.cluster import PodCluster
from ocean_dev.demo_parts import (
    CLINICS,
    SIMULATORS,
    SYSTEM,
    create_secret,
    print_titled,
    secret,
    simulated,
    wait_for,
)
from ocean_dev.errors import DevError
from ocean_dev.progress import step

CLINIC: Final = "maple-family"
_GATEWAY_TLS: Final = "ocean-gateway-tls"
_GATEWAY: Final = f"ocean-gateway.{SYSTEM}.svc.cluster.local"


def webhook_key(number: str) -> str:
    """The key in the address of a clinic's webhook at the simulated Ocean. Known to everybody."""
    return f"demo-webhook-key-of-site-{number}"


def certificate(cluster: PodCluster) -> None:
    """The gateway's certificate, as a person or cert-manager would bring it."""
    if not secret(cluster, SYSTEM, _GATEWAY_TLS):
        authority = Authority.create()
        pair = authority.issue(_GATEWAY, addresses=[_GATEWAY])
        files = {"tls.crt": pair.certificate, "tls.key": pair.key, "ca.crt": authority.pair.certificate}
        create_secret(cluster, SYSTEM, _GATEWAY_TLS, {name: text.decode() for name, text in files.items()})


def show(cluster: PodCluster) -> None:
    """Have two questionnaires completed, the second while the EMR is away, and print where they arrive."""
    number = _spec(cluster)["siteNumber"]
    worker = names.child(CLINIC, "worker")
    with step("waiting for the clinic's worker"):
        cluster.kubectl("rollout", "status", "--namespace", CLINICS, f"deployment/{worker}", "--timeout=180s")
    _register(cluster, number)
    patient = simulated(cluster, "ocean", f"sites/{number}/patients")["patients"][0]["ref"]
    with step("a patient completes a questionnaire at Ocean"):
        first = _complete(cluster, number, patient, "the cough is gone")
        note = _arrived(cluster, first)
    print_titled(f"at OSCAR's simulator: the note in the chart of patient {note['patient']}", note["text"])
    with step("the EMR is stopped, and another questionnaire is completed"):
        _scale_emr(cluster, 0)
        second = _complete(cluster, number, patient, "the cough is back")
        wait_for(lambda: _is_taken(cluster, number, second), "the gateway did not take the message")
    print_titled("the gateway has taken it, and it waits in the queue", _queue(cluster))
    with step("the EMR is started, and the message that has waited arrives"):
        _scale_emr(cluster, 1)
        note = _arrived(cluster, second)
    print_titled(f"at OSCAR's simulator: the note in the chart of patient {note['patient']}", note["text"])


def _spec(cluster: PodCluster) -> dict[str, Any]:
    text = cluster.kubectl("get", names.PLURAL, CLINIC, "--namespace", CLINICS, "--output=json")
    spec: dict[str, Any] = json.loads(text)["spec"]
    return spec


def _register(cluster: PodCluster, number: str) -> None:
    """Enter the webhook at Ocean, as a site administrator does. Ocean sends a challenge, and wants it back."""
    receiver = {
        "url": f"https://{_GATEWAY}/webhooks/{number}",
        "key": webhook_key(number),
        "caBundle": secret(cluster, SYSTEM, _GATEWAY_TLS)["ca.crt"],
    }

    def echoed() -> bool:
        return bool(simulated(cluster, "ocean", f"sites/{number}/webhook", put=receiver)["echoed"])

    with step("entering the webhook at Ocean"):
        wait_for(echoed, "the gateway did not echo Ocean's challenge")


def _complete(cluster: PodCluster, number: str, patient: str, said: str) -> str:
    """Complete a questionnaire. Returns words that only its note holds."""
    marker = f"{said} ({secrets.token_hex(4)})"
    forms = [{"title": "Visit questionnaire", "text": f"The patient says: {marker}"}]
    simulated(cluster, "ocean", f"sites/{number}/complete", post={"patient": patient, "forms": forms})
    return marker


def _is_taken(cluster: PodCluster, number: str, marker: str) -> bool:
    """Whether the gateway has answered for what tells of the note."""
    told = simulated(cluster, "ocean", f"sites/{number}/webhooks?accepted")["webhooks"]
    return any(marker in text for each in told for text in each["markers"])


def _arrived(cluster: PodCluster, marker: str) -> dict[str, Any]:
    """The note that holds `marker`, once it is in a chart. It is there once."""
    found: list[dict[str, Any]] = []

    def there() -> bool:
        found[:] = [n for n in simulated(cluster, "oscar", "visible")["notes"] if marker in n["text"]]
        return bool(found)

    wait_for(there, "the note did not come into the chart")
    if len(found) != 1:
        raise DevError(f"The note is in the charts {len(found)} times.")
    return found[0]


def _scale_emr(cluster: PodCluster, replicas: int) -> None:
    cluster.kubectl("scale", "--namespace", SIMULATORS, "deployment/oscar", f"--replicas={replicas}")
    if replicas:
        cluster.kubectl("rollout", "status", "--namespace", SIMULATORS, "deployment/oscar", "--timeout=180s")
    else:
        cluster.kubectl(
            "wait", "--namespace", SIMULATORS, "pods", "--selector=app=oscar", "--for=delete", "--timeout=60s"
        )


def _queue(cluster: PodCluster) -> str:
    """What the operator counts, by its metrics: the status tells of it only when a minute has passed.

    The Service leads to either replica, and only the one that leads counts.
    """
    metrics = f"--raw=/api/v1/namespaces/{SYSTEM}/services/ocean-operator-metrics:metrics/proxy/metrics"
    counted = f'ocean_messages_waiting{{name="{CLINIC}",namespace="{CLINICS}"}} '
    found: list[str] = []

    def waits() -> bool:
        lines = cluster.kubectl("get", metrics).splitlines()
        found[:] = [line for line in lines if line.startswith(counted) and not line.endswith(" 0.0")]
        return bool(found)

    wait_for(waits, "the operator did not count the message")
    return found[0]
