"""`make demo`: the chart, three simulators and the clinics of examples/, until the appointments are at Ocean.

And back: messages from Ocean, until they are in the EMR (`demo_messages.py`).
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any, Final

import yaml

from ocean_api import names
from ocean_api.sek import generate
from ocean_dev import demo_messages, images
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
from ocean_dev.existing import ExistingCluster
from ocean_dev.existing import is_chosen as existing_is_chosen
from ocean_dev.node import NodeCluster
from ocean_dev.paths import DEV, REPOSITORY
from ocean_dev.progress import say, step

EXAMPLES: Final = ("oscar-pro", "fhir", "non-integrated", "refused-credential")

_OSCAR = {
    "consumerKey": "demo-consumer",
    "consumerSecret": "demo-consumer-secret",
    "token": "demo-token",
    "tokenSecret": "demo-token-secret",
}
_EMR_CREDENTIALS: Final[Mapping[str, Mapping[str, str]]] = {
    "maple-family": _OSCAR,
    "cedar-health": {"clientId": "demo-client", "clientSecret": "demo-client-secret"},
    "willow-walk-in": {**_OSCAR, "token": "withdrawn-token"},
}
"""What the simulated EMRs know, for patients who do not exist; the last clinic's token was withdrawn."""

EXPECTED: Final = {
    "maple-family": "SiteReady",
    "cedar-health": "SiteReady",
    "birch-counselling": "SiteReady",
    "willow-walk-in": "EmrAuthRefused",
}
_OWN_IMAGES: Final = (
    "--set=openbao.image.repository=ocean-openbao,openbao.image.tag=dev",
    "--set=postgresql.image.repository=ocean-postgres,postgresql.image.tag=dev",
)
"""The embedded servers' images that we build. A cluster that pulls images gets the official ones."""


def run() -> None:
    """Show the main job, from nothing to appointments at Ocean. Running it again is quick and changes nothing."""
    cluster = _cluster()
    image = _images(cluster)
    _install(cluster, image)
    _simulators(cluster, image)
    _clinics(cluster)
    with step("waiting for the clinics", lambda: ", ".join(f"{k} {v or '…'}" for k, v in reasons(cluster).items())):
        wait_for(lambda: reasons(cluster) == EXPECTED, "the clinics did not come to the states they should")
    _show(cluster)
    demo_messages.show(cluster)
    say("`make down` removes all of it")


def _cluster() -> PodCluster:
    if existing_is_chosen():
        cluster = ExistingCluster()
        cluster.check()
        return cluster
    with step("starting Kubernetes"):
        return NodeCluster.up(durable=False)


def _images(cluster: PodCluster) -> str:
    """Build and load the images, unless IMAGE names one that the cluster can pull. Returns the product's."""
    given = os.environ.get("IMAGE", "")
    if given:
        return given
    for recipe in images.ALL:
        cluster.load_image(images.build(recipe.file, recipe.tag))
    return images.ALL[0].tag


def _install(cluster: PodCluster, image: str) -> None:
    _namespace(cluster, SYSTEM, "restricted")
    _namespace(cluster, CLINICS, "restricted")
    repository, tag = image.rsplit(":", 1)
    own: tuple[str, ...] = () if os.environ.get("IMAGE") else _OWN_IMAGES
    demo_messages.certificate(cluster)
    with step("installing the chart"):
        cluster.helm(
            "upgrade",
            "--install",
            "ocean",
            str(REPOSITORY / "charts" / "ocean-operator"),
            f"--namespace={SYSTEM}",
            f"--values={DEV / 'demo' / 'values.yaml'}",
            f"--set=image.repository={repository}",
            f"--set=image.tag={tag}",
            *own,
            # What the image is, so that another one under the same tag replaces the pods.
            f"--set-string=podAnnotations.demo-image={_digest(image)}",
        )
    with step("waiting for the operator"):
        cluster.kubectl("rollout", "status", "--namespace", SYSTEM, "deployment", "--timeout=240s")


def _digest(image: str) -> str:
    return images.built(image).digest[-24:] if not os.environ.get("IMAGE") else image


def _simulators(cluster: PodCluster, image: str) -> None:
    _namespace(cluster, SIMULATORS, "restricted")
    if not secret(cluster, SIMULATORS, "simulators-tls"):
        authority = Authority.create()
        hosts = [f"{name}.{SIMULATORS}.svc.cluster.local" for name in ("ocean", "oscar", "fhir")]
        pair = authority.issue(hosts[0], addresses=hosts)
        files = {"tls.crt": pair.certificate, "tls.key": pair.key, "ca.crt": authority.pair.certificate}
        create_secret(cluster, SIMULATORS, "simulators-tls", {name: text.decode() for name, text in files.items()})
    if not secret(cluster, SIMULATORS, "ocean-sites"):
        sites = [_ocean_site(example) for example in EXAMPLES]
        create_secret(cluster, SIMULATORS, "ocean-sites", {"sites.json": json.dumps({"sites": sites})})
    text = (DEV / "demo" / "simulators.yaml").read_text().replace("IMAGE", image)
    with step("starting the simulators of Ocean and two EMRs"):
        cluster.kubectl("apply", "--filename=-", input=text)
        cluster.kubectl("rollout", "status", "--namespace", SIMULATORS, "deployment", "--timeout=180s")


def _ocean_site(example: str) -> dict[str, str | None]:
    """What the simulated Ocean knows of a clinic. A key that is to be generated is one it has not been told."""
    spec = _example(example)["spec"]
    number = spec["siteNumber"]
    return {
        "siteNum": number,
        "siteKey": f"site-key-{number}",
        "siteCredential": f"site-credential-{number}",
        "clientId": f"client-{number}",
        "clientSecret": f"client-secret-{number}",
        "sharedEncryptionKey": generate() if spec["key"]["source"] == "Secret" else None,
    }


def _clinics(cluster: PodCluster) -> None:
    """Hand over credentials and keys as a person would, and apply the examples."""
    authority = secret(cluster, SIMULATORS, "simulators-tls")["ca.crt"]
    sites = {s["siteNum"]: s for s in json.loads(secret(cluster, SIMULATORS, "ocean-sites")["sites.json"])["sites"]}
    known = reasons(cluster)
    for example in EXAMPLES:
        body = _example(example)
        name, spec = body["metadata"]["name"], body["spec"]
        site = sites[spec["siteNumber"]]
        spec["ocean"]["caBundle"] = authority
        for block in ("oscarPro", "fhir"):
            if block in spec["emr"]:
                spec["emr"][block]["caBundle"] = authority
        if name not in known:
            _credentials(cluster, name, spec, site)
        cluster.kubectl("apply", "--server-side", "--field-manager=demo", "--filename=-", input=yaml.safe_dump(body))
        say(f"applied examples/{example}.yaml")


def _credentials(cluster: PodCluster, name: str, spec: Mapping[str, Any], site: Mapping[str, str]) -> None:
    fields = {
        "siteKey": site["siteKey"],
        "siteCredential": site["siteCredential"],
        "webhookKey": demo_messages.webhook_key(spec["siteNumber"]),
    }
    create_secret(cluster, CLINICS, f"{name}-ocean", fields)
    if name in _EMR_CREDENTIALS:
        create_secret(cluster, CLINICS, f"{name}-emr", _EMR_CREDENTIALS[name])
    if spec["key"]["source"] == "Secret":
        label = {names.KEY_INTAKE_LABEL: "true"}
        key = {names.KEY_INTAKE_FIELD: site["sharedEncryptionKey"]}
        create_secret(cluster, CLINICS, spec["key"]["secretName"], key, labels=label)


def _example(name: str) -> dict[str, Any]:
    body: dict[str, Any] = yaml.safe_load((REPOSITORY / "examples" / f"{name}.yaml").read_text())
    return body


def reasons(cluster: PodCluster) -> dict[str, str]:
    """Each clinic's reason, as `kubectl get` shows it."""
    listed = json.loads(cluster.kubectl("get", names.PLURAL, "--namespace", CLINICS, "--output=json"))
    return {item["metadata"]["name"]: item.get("status", {}).get("summary", "") for item in listed["items"]}


def _show(cluster: PodCluster) -> None:
    """What a person sees: the clinics, one of them closely, and the patients at Ocean."""
    print_titled("kubectl get oceansites -n clinics", cluster.kubectl("get", names.PLURAL, "--namespace", CLINICS))
    print_titled(
        "kubectl describe oceansite willow-walk-in -n clinics",
        cluster.kubectl("describe", "oceansite", "willow-walk-in", "--namespace", CLINICS),
    )
    for name in ("maple-family", "cedar-health"):
        spec = json.loads(cluster.kubectl("get", "oceansite", name, "--namespace", CLINICS, "--output=json"))["spec"]
        patients = at_ocean(cluster, spec["siteNumber"], "patients")
        appointments = at_ocean(cluster, spec["siteNumber"], "appointments")
        people = [patient["content"]["demographics"] for patient in patients]
        lines = sorted(f"{p['surname']}, {p['firstName']}, born {p['birthDate']}" for p in people)
        shown = "\n".join([*lines[:8], f"… {len(lines)} patients, {len(appointments)} appointments"])
        print_titled(f"at Ocean's simulator: patients of {spec['displayName']} (site {spec['siteNumber']})", shown)


def at_ocean(cluster: PodCluster, number: str, what: str) -> list[dict[str, Any]]:
    """What the simulated Ocean has of a site, decrypted with the key it knows."""
    found: list[dict[str, Any]] = simulated(cluster, "ocean", f"sites/{number}/{what}")[what]
    return found


def _namespace(cluster: PodCluster, name: str, level: str) -> None:
    body = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "labels": {"pod-security.kubernetes.io/enforce": level}},
    }
    cluster.kubectl("apply", "--server-side", "--field-manager=demo", "--filename=-", input=json.dumps(body))
