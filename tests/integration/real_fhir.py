"""A real FHIR R4 server (HAPI) as the EMR of the conformance rig, with the gateway's token endpoint in front."""

from __future__ import annotations

from collections.abc import Sequence

import httpx
import orjson

from conformance.rigs.fhir import FhirRig
from ocean_emr.testing.fhir_clinic import Resource

_AT_A_TIME = 200
_REFERRING = ("Appointment/", "DocumentReference/")
_FHIR = {"content-type": "application/fhir+json"}


class Emr:
    """The real server, and what it holds, so that filling it costs only the difference."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.http = httpx.Client(base_url=url, timeout=60, trust_env=False)
        self._held: dict[str, Resource] = {}
        self.touched = False
        """Whether anybody else has written since it was last filled."""

    def fill(self, resources: Sequence[Resource]) -> None:
        """Hold these and nothing else."""
        if self.touched:
            self._look_again()
        wanted = {f"{each['resourceType']}/{each['id']}": each for each in resources}
        gone = sorted(self._held.keys() - wanted.keys())
        # HAPI fails to delete in one transaction what refers to something and that something.
        self._change([_change("DELETE", path) for path in gone if path.startswith(_REFERRING)])
        self._change([_change("DELETE", path) for path in gone if not path.startswith(_REFERRING)])
        new = [(path, resource) for path, resource in wanted.items() if self._held.get(path) != resource]
        self._change([_change("PUT", path) | {"resource": resource} for path, resource in new])
        self._held, self.touched = wanted, False

    def _change(self, entries: Sequence[Resource]) -> None:
        for begin in range(0, len(entries), _AT_A_TIME):
            bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries[begin : begin + _AT_A_TIME]}
            answer = self.http.post("", content=orjson.dumps(bundle), headers=_FHIR)
            assert answer.is_success, answer.text

    def all(self, kind: str) -> list[Resource]:
        """Everything of one kind that the server holds."""
        found, address = [], f"{self.url}/{kind}?_count=100"
        while address:
            page = self.http.get(address).raise_for_status().json()
            found += [entry["resource"] for entry in page.get("entry", ())]
            address = next((link["url"] for link in page["link"] if link["relation"] == "next"), "")
        return found

    def _look_again(self) -> None:
        """Forget what may have been changed, and know what was added."""
        for kind in ("Patient", "Appointment", "DocumentReference"):
            self._held = {path: each for path, each in self._held.items() if not path.startswith(f"{kind}/")}
            self._held |= {f"{kind}/{each['id']}": each for each in self.all(kind)}

    def delete(self, path: str) -> None:
        """Delete one resource, as somebody at the clinic would."""
        assert self.http.delete(path).is_success
        del self._held[path]

    def put(self, resource: Resource) -> None:
        """Create or change one resource, as somebody at the clinic would."""
        path = f"{resource['resourceType']}/{resource['id']}"
        assert self.http.put(path, content=orjson.dumps(resource), headers=_FHIR).is_success
        self._held[path] = resource


def _change(method: str, path: str) -> Resource:
    return {"request": {"method": method, "url": path}}


class RealRig(FhirRig):
    """The gateway with the real server behind it."""

    def __init__(self, emr: Emr) -> None:
        super().__init__()
        self.emr = emr
        self._seen = 0

    def upstream(self) -> str:
        """See `FhirRig`."""
        return self.emr.url

    def fill(self, resources: Sequence[Resource]) -> None:
        """See `FhirRig`."""
        self._look()
        self.emr.fill(resources)

    def stop(self) -> None:
        """See `FhirRig`."""
        self._look()
        super().stop()

    def _look(self) -> None:
        self.emr.touched |= self.writes() > self._seen
        self._seen = self.writes()

    def held(self, kind: str) -> Sequence[Resource]:
        """See `FhirRig`."""
        return self.emr.all(kind)

    def put(self, resource: Resource) -> None:
        """See `FhirRig`."""
        self.emr.put(resource)
