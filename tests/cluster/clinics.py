"""A whole installation with its operator, and what people and pods do with the clinics in it."""

from __future__ import annotations

import base64
import itertools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import psycopg
import yaml
from psycopg.types.json import Jsonb

from cluster.audit_log import AuditLog
from cluster.chart import EXTERNAL, render
from cluster.interposer import Interposer
from cluster.kubernetes_api import KubernetesApi, Manifest, owned
from cluster.operators import NAMESPACE, OperatorProcess, until
from integration.installation import Bao, Installation
from integration.logins import where
from ocean_api import crdgen, names
from ocean_api.report import CheckReport, Process, ProviderName, Run, SyncReport, Trigger, WorkerReport

OPERATOR: Final = f"system:serviceaccount:{NAMESPACE}:ocean-operator"
"""Who the operator is to the API server."""
OSCAR: Final = {
    "type": "OscarPro",
    "oscarPro": {"url": "https://emr.clinic.example/oscar", "credentialsSecret": "emr"},
}
NO_EMR: Final = {"type": "None"}
INTAKE: Final = "ocean-operator-key-intake"
KEY: Final = "Test-Key-0000001"
"""One of our own making, in the form that Ocean asks for."""

_numbers = itertools.count(100_000)


@dataclass(frozen=True, slots=True)
class Clinic:
    """One OceanSite by its place."""

    namespace: str
    name: str

    @property
    def id(self) -> str:
        """As in the database."""
        return names.site_id(self.namespace, self.name)


class Landscape:
    """Kubernetes, OpenBao and PostgreSQL with everything the chart brings but the operator's pods."""

    def __init__(self, installation: Installation, folder: Path) -> None:
        self.installation = installation
        self.plane = installation.cluster
        self.folder = folder
        self.api = KubernetesApi(self.plane)
        self.audit = AuditLog(self.plane.audit_log, OPERATOR)
        self.log = folder / "operator.log"
        self.leader = OperatorProcess(folder / "operator.kubeconfig", self.log, "ocean-operator-0")

    # The operator

    def install(self) -> None:
        """The CRD and the operator's rights, as the chart has them."""
        rights = ("ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding")
        objects = [o for o in render(EXTERNAL) if o["kind"] in rights]
        self.plane.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", input=yaml.safe_dump_all(objects))
        self.plane.kubectl("apply", "-f", "-", input=crdgen.crd_yaml())
        # Not `kubectl wait`, which fails where the definition has no conditions yet.
        state = 'jsonpath={.status.conditions[?(@.type=="Established")].status}'
        definition = ("get", f"crd/{names.PLURAL}.{names.GROUP}", f"--output={state}")
        until(lambda: self.plane.kubectl(*definition) == "True", "the API server knows OceanSites")

    def replica(self, name: str, *, api: Interposer | None = None, **extra: str) -> OperatorProcess:
        """An operator, not yet started, with the identity of its service account.

        Args:
            name: Who holds the Lease.
            api: Through which it reaches the API server, if not directly.
            extra: More settings.
        """
        return OperatorProcess(self._kubeconfig(name, api), self.log, name, {**self.environment(), **extra})

    def environment(self) -> dict[str, str]:
        """What the Deployment tells the operator about Vault and database."""
        token = self.folder / "vault-token"
        token.write_text(self.installation.token(NAMESPACE, "ocean-operator"))
        return {
            "OCEAN_VAULT_ADDRESS": self.installation.bao.address,
            "OCEAN_VAULT_CA_FILE": str(self.installation.bao.ca_file),
            "OCEAN_VAULT_TOKEN_FILE": str(token),
            "OCEAN_DATABASE_HOST": self.installation.server.host,
            "OCEAN_DATABASE_PORT": str(self.installation.server.port),
            "OCEAN_DATABASE_CA_FILE": str(self.installation.server.ca_file),
        }

    def lead(self, **extra: str) -> OperatorProcess:
        """Have one operator run and lead: the one that does, or a new one."""
        if self.leader.process is None or self.leader.process.poll() is not None:
            self.leader = self.replica("ocean-operator-0", **extra)
            self.leader.start()
            until(lambda: self.leader.leads, "the operator leads")
        return self.leader

    def restart(self, **extra: str) -> OperatorProcess:
        """End the operator in order and start it anew."""
        self.rest()
        return self.lead(**extra)

    def rest(self) -> None:
        """End the operator in order."""
        if self.leader.process is not None and self.leader.process.poll() is None:
            assert self.leader.stop() == 0

    def close(self) -> None:
        """End what runs."""
        self.rest()
        self.api.close()

    def _kubeconfig(self, name: str, api: Interposer | None) -> Path:
        path = self.folder / f"{name}.kubeconfig"
        token = self.plane.service_account_token(NAMESPACE, "ocean-operator")
        server, authority = (api.address, api.ca_file) if api else (self.plane.server, self.plane.ca_file)
        path.write_text(kubeconfig(server, token, authority))
        return path

    # Clinics

    def namespace(self, name: str, *, intake: bool = True) -> str:
        """Make a namespace, in which the operator may take keys over unless it is told otherwise."""
        self.api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        if intake:
            flags = (f"--clusterrole={INTAKE}", f"--serviceaccount={NAMESPACE}:ocean-operator")
            self.plane.kubectl("create", "rolebinding", INTAKE, f"--namespace={name}", *flags)
        return name

    def apply(self, clinic: Clinic, **spec: Any) -> Manifest:
        """Apply an OceanSite; `spec` changes what `site_body` has."""
        known = self.api.get(names.KIND, *_place(clinic))
        number = known["spec"]["siteNumber"] if known else str(next(_numbers))
        return self.api.apply(site_body(clinic, number, **spec))

    def site(self, clinic: Clinic) -> Manifest:
        """The OceanSite, which must be there."""
        found = self.api.get(names.KIND, *_place(clinic))
        assert found is not None, f"no OceanSite {clinic.id}"
        return found

    def status(self, clinic: Clinic) -> Manifest:
        """Its status; empty while there is none."""
        found: Manifest = self.site(clinic).get("status") or {}
        return found

    def summary(self, clinic: Clinic) -> str:
        """What `kubectl get` shows as its reason."""
        said: str = self.status(clinic).get("summary", "")
        return said

    def condition(self, clinic: Clinic, kind: str) -> Manifest:
        """One condition; empty while there is none."""
        conditions: list[Manifest] = self.status(clinic).get("conditions", [])
        return next((c for c in conditions if c["type"] == kind), {})

    def await_summary(self, clinic: Clinic, *reasons: str, seconds: float = 60) -> None:
        """Wait until the reason is one of `reasons`."""
        until(lambda: self.summary(clinic) in reasons, f"{clinic.id} is one of {reasons}", seconds)

    def await_gone(self, clinic: Clinic, seconds: float = 60) -> None:
        """Wait until the OceanSite is no more."""
        until(lambda: self.api.get(names.KIND, *_place(clinic)) is None, f"{clinic.id} is gone", seconds)

    def await_complete(self, clinic: Clinic, children: int = 5) -> None:
        """Wait until it has its children, whether or not a worker is among them, and a status of its generation."""

        def complete() -> bool:
            site = self.site(clinic)
            seen = (site.get("status") or {}).get("observedGeneration")
            there = [name for kind, name in self.children(clinic) if kind != "Deployment"]
            return seen == site["metadata"]["generation"] and len(there) == children

        until(complete, f"{clinic.id} has its {children} children")

    def children(self, clinic: Clinic) -> dict[tuple[str, str], Manifest]:
        """What the operator made for it, without Jobs, by kind and name."""
        found = owned(clinic.namespace, self.api)
        return {
            ident: body
            for ident, body in found.items()
            if ident[0] != "Job" and body["metadata"]["labels"].get(names.SITE_LABEL) == clinic.name
        }

    def jobs(self, clinic: Clinic, part: str) -> list[Manifest]:
        """Its Jobs of one part: `check`, `full` or `recent`."""
        prefix = names.child(clinic.name, part) + "-"
        found = owned(clinic.namespace, self.api)
        return [b for (kind, name), b in found.items() if kind == "Job" and name.startswith(prefix)]

    def suspended(self, clinic: Clinic) -> set[bool]:
        """Whether its CronJobs are suspended: one value when both agree, none when it has none."""
        return {b["spec"]["suspend"] for (kind, _), b in self.children(clinic).items() if kind == "CronJob"}

    def events(self, clinic: Clinic) -> list[Manifest]:
        """What was told as events about its OceanSite."""
        found = self.api.list("Event", clinic.namespace)
        return [e for e in found if (e["regarding"]["kind"], e["regarding"]["name"]) == (names.KIND, clinic.name)]

    # What its pods do

    def report(self, clinic: Clinic, process: Process, document: CheckReport | SyncReport | WorkerReport) -> None:
        """Write a row of `site_state` the way the clinic's pod does: under a login of its own from Vault."""
        document_json = document.model_dump(mode="json", by_alias=True)
        with self.as_pod(clinic) as pod:
            pod.execute(
                "insert into ocean.site_state (site, process, state) values (%s, %s, %s)"
                " on conflict (site, process) do update set state = excluded.state",
                [clinic.id, process.value, Jsonb(document_json)],
            )

    def check(self, clinic: Clinic, **changes: Any) -> CheckReport:
        """Report what the newest check Job finds: everything in order, but for `changes`."""
        until(lambda: bool(self.jobs(clinic, "check")), f"{clinic.id} has a check")
        newest = max(self.jobs(clinic, "check"), key=lambda j: int(j["metadata"]["resourceVersion"]))
        said = {
            "token": argument(newest, "--token"),
            "at": datetime.now(UTC),
            "key_version": self.status(clinic)["key"]["version"],
            "key_fingerprint": self.status(clinic)["key"]["fingerprint"],
            "key_tried": True,
            "key_compared": True,
            "providers": (ProviderName(id="101", name="Dr. p0001"),),
            "interface": "OSCAR",
            **changes,
        }
        report = CheckReport(**said)
        self.report(clinic, Process.CHECK, report)
        return report

    def sync(self, clinic: Clinic, job: Manifest, **changes: Any) -> SyncReport:
        """Report that the synchronisation `job` has succeeded, but for `changes`."""
        now = datetime.now(UTC)
        run = Run(started_at=now, finished_at=now, trigger=Trigger(argument(job, "--trigger")))
        said = {
            "last_full": run,
            "last_trigger": run.trigger,
            "window": argument(job, "--window"),
            **changes,
        }
        report = SyncReport(**said)
        self.report(clinic, Process.SYNC, report)
        return report

    def serve(self, clinic: Clinic) -> None:
        """Bring a clinic with an EMR to where everything is well."""
        self.check(clinic)
        until(lambda: bool(self.jobs(clinic, "full")), f"{clinic.id} has its first full synchronisation")
        self.sync(clinic, self.jobs(clinic, "full")[0])
        self.run_worker(clinic)
        self.await_summary(clinic, "SiteReady")

    def worker(self, clinic: Clinic) -> Manifest | None:
        """Its worker's Deployment, if it has one that is to stay."""
        found = self.api.get("Deployment", clinic.namespace, names.child(clinic.name, "worker"))
        return None if found is None or "deletionTimestamp" in found["metadata"] else found

    def run_worker(self, clinic: Clinic, **container: Any) -> None:
        """Have its worker's pod run, as the kubelet would report it; `container` says how it fares instead."""
        label = f"{names.SITE_LABEL}={clinic.name},{names.COMPONENT_LABEL}=worker"

        def pods() -> list[Manifest]:
            return self.api.list("Pod", clinic.namespace, selector=label)

        until(lambda: bool(pods()), f"{clinic.id} has a worker")
        state = {
            "name": "worker",
            "image": "x",
            "imageID": "x",
            "restartCount": 0,
            "ready": True,
            "state": {"running": {}},
        }
        said = {**state, **container}
        ready = {"type": "Ready", "status": str(said["ready"])}
        for pod in pods():
            status = {"phase": "Running", "conditions": [ready], "containerStatuses": [said]}
            self.api.edit_status("Pod", clinic.namespace, pod["metadata"]["name"], status)

    @contextmanager
    def as_pod(self, clinic: Clinic) -> Iterator[psycopg.Connection]:
        """A connection under a login of the clinic's own pods, from Vault."""
        jwt = self.installation.token(clinic.namespace, names.service_account(clinic.name))
        bao = Bao(self.installation.bao).log_in(names.VAULT_SITE_ROLE, jwt)
        login = bao.get("GET", f"database/creds/{names.vault_database_role(clinic.namespace, clinic.name)}")["data"]
        with psycopg.connect(
            where(self.installation.server), user=login["username"], password=login["password"], autocommit=True
        ) as connection:
            yield connection

    # What the stores hold

    def stored(self, clinic: Clinic) -> Manifest:
        """KV metadata of its key; empty where there is none."""
        answer = self.installation.administrator().ask("GET", f"ocean/metadata/{_sek(clinic)}")
        found: Manifest = answer.json()["data"] if answer.ok else {}
        return found

    def key(self, clinic: Clinic) -> str:
        """The key itself."""
        answer = self.installation.administrator().get("GET", f"ocean/data/{_sek(clinic)}")
        found: str = answer["data"]["data"][names.SEK_FIELD]
        return found

    def vault_role(self, clinic: Clinic) -> bool:
        """Whether the clinic's pods can get logins."""
        role = names.vault_database_role(clinic.namespace, clinic.name)
        return self.installation.administrator().ask("GET", f"database/roles/{role}").ok

    def database_role(self, name: str) -> bool:
        """Whether PostgreSQL lets anybody log in for a clinic's group."""
        with psycopg.connect(self.installation.server.admin) as admin:
            found = admin.execute("select from ocean.site where group_role = %s and retired_at is null", [name])
            return found.fetchone() is not None

    def revive(self, server: str) -> None:
        """Start a server again that was taken away, with what it held; nothing happens to one that runs."""
        one = self.installation.bao if server == "openbao" else self.installation.server
        one.kill()
        one.start()

    def records(self, clinic: Clinic) -> list[tuple[str, str]]:
        """Action and text of everything in its audit by the operator, oldest first."""
        with psycopg.connect(self.installation.server.admin) as admin:
            rows = admin.execute(
                "select action, what ->> 'text' from ocean.audit where site = %s and via = 'operator' order by seq",
                [clinic.id],
            ).fetchall()
        return [(action, text) for action, text in rows]


def site_body(clinic: Clinic, number: str, **spec: Any) -> Manifest:
    """An OceanSite as a person writes it."""
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {"name": clinic.name, "namespace": clinic.namespace},
        "spec": {
            "siteNumber": number,
            "displayName": f"Clinic {clinic.name}",
            "timeZone": "America/Toronto",
            "contacts": {"siteCreator": "p0001@clinic.example"},
            "ocean": {"credentialsSecret": "ocean"},
            "emr": OSCAR,
            "key": {"source": "Generate"},
            "schedule": {"providers": ["101"]},
            **spec,
        },
    }


def key_secret(clinic: Clinic, key: str = KEY, *, name: str = "hand-over", **metadata: Any) -> Manifest:
    """The one-shot Secret that hands a key over."""
    labels = {names.KEY_INTAKE_LABEL: "true"}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": clinic.namespace, "labels": labels, **metadata},
        "data": {names.KEY_INTAKE_FIELD: base64.b64encode(key.encode()).decode()},
    }


def argument(job: Manifest, name: str) -> str:
    """The value of a command-line argument of a Job's pod."""
    args: list[str] = job["spec"]["template"]["spec"]["containers"][0]["args"]
    return args[args.index(name) + 1]


def kubeconfig(server: str, token: str, authority: Path) -> str:
    """A kubeconfig with a service account's token."""
    config: Mapping[str, Any] = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": server, "certificate-authority": str(authority)}}],
        "users": [{"name": "u", "user": {"token": token}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    return yaml.safe_dump(dict(config))


def _place(clinic: Clinic) -> tuple[str, str]:
    return clinic.namespace, clinic.name


def _sek(clinic: Clinic) -> str:
    return names.sek_path(clinic.namespace, clinic.name)
