from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import orjson
import pytest

from ocean_api import names
from ocean_api.settings import DatabaseAccess, SiteSettings
from ocean_api.v1alpha1.oceansite import MAX_NAME
from ocean_api.v1alpha1.spec import EmrType
from ocean_operator.core.children import KINDS, desired_children
from ocean_operator.core.parts.config_map import config_map
from ocean_operator.core.parts.worker import SETTINGS_ANNOTATION
from ocean_operator.core.platform import Platform
from ocean_operator.core.runs import due
from ocean_operator.core.site import Manifest, Site, SiteKey
from ocean_operator.core.validate import AddressRules
from unit.operator.sites import FHIR, NO_EMR, NO_STORES, NOW, OSCAR, PLATFORM, UID, Known, site, spec_of

EMRS: dict[EmrType, dict[str, Any]] = {EmrType.FHIR: FHIR, EmrType.OSCAR_PRO: OSCAR, EmrType.NONE: NO_EMR}


def children(clinic: Site, platform: Platform = PLATFORM, *, may_work: bool = True) -> dict[str, Manifest]:
    """The clinic's children by kind and name, of one that may do everything or nothing."""
    made = desired_children(clinic, platform, may_work=may_work, may_deliver=may_work)
    return {f"{c['kind']}/{c['metadata']['name']}": c for c in made}


def jobs(clinic: Site) -> tuple[Manifest, ...]:
    """A Job of the clinic's own."""
    return due(clinic, PLATFORM, Known(clinic).key().facts, (), NOW).jobs


def pods(clinic: Site) -> Iterator[Manifest]:
    """Every pod template there is in the clinic's objects."""
    for child in children(clinic).values():
        if child["kind"] == "CronJob":
            yield child["spec"]["jobTemplate"]["spec"]["template"]
        if child["kind"] == "Deployment":
            yield child["spec"]["template"]
    for job in jobs(clinic):
        yield job["spec"]["template"]


def test_an_integrated_clinic_has_these_objects() -> None:
    assert list(children(site())) == [
        "ServiceAccount/ocean-site-north",
        "NetworkPolicy/ocean-north-pods",
        "ConfigMap/ocean-north-site",
        "CronJob/ocean-north-recent",
        "CronJob/ocean-north-full",
        "Deployment/ocean-north-worker",
    ]


def test_a_clinic_without_an_emr_has_no_work() -> None:
    kinds = {name.split("/")[0] for name in children(site(emr=NO_EMR, enabled=True))}

    assert kinds == set(KINDS) - {"CronJob", "Deployment"}


@pytest.mark.parametrize("emr", EmrType)
def test_every_kind_made_is_one_that_is_pruned(emr: EmrType) -> None:
    made = {c["kind"] for c in children(site(emr=EMRS[emr])).values()}

    assert made <= set(KINDS)


def test_cron_jobs_are_suspended_until_the_clinic_may_work() -> None:
    """Suspended, not left out: `kubectl get cronjobs` then shows when they will run."""
    for may_work in (True, False):
        crons = [c for c in children(site(), may_work=may_work).values() if c["kind"] == "CronJob"]

        assert [c["spec"]["suspend"] for c in crons] == [not may_work] * 2


def test_nothing_but_suspension_and_the_worker_differs_while_a_clinic_may_not_work() -> None:
    off, on = children(site(), may_work=False), children(site())
    for child in on.values():
        if child["kind"] == "CronJob":
            child["spec"]["suspend"] = True
    del on["Deployment/ocean-north-worker"]

    assert off == on


def test_the_same_spec_gives_the_same_bytes() -> None:
    """A restarted operator compares hashes; an order that moves would rewrite a thousand clinics."""
    first, second = (orjson.dumps(list(children(site()).values())) for _ in range(2))

    assert first == second


def test_nothing_of_the_parents_labels_or_annotations_is_copied() -> None:
    """Argo CD's tracking label on a child would have it pruned."""
    annotations = {"argocd.argoproj.io/tracking-id": "x", "example.org/copied": "y", names.SYNC_FULL_REQUEST: "t1"}
    clinic = site(annotations=annotations)
    text = orjson.dumps([*children(clinic).values(), *jobs(clinic)]).decode()

    assert "tracking-id" not in text
    assert "example.org/copied" not in text
    assert children(clinic) == children(site())


def test_every_object_is_the_clinics_own() -> None:
    clinic = site()
    for child in (*children(clinic).values(), *jobs(clinic)):
        meta = child["metadata"]
        (owner,) = meta["ownerReferences"]

        assert meta["namespace"] == "clinic-a"
        assert (owner["kind"], owner["name"], owner["uid"], owner["controller"]) == ("OceanSite", "north", UID, True)
        assert meta["labels"][names.SITE_LABEL] == "north"
        assert meta["labels"][names.MANAGED_BY_LABEL] == names.MANAGED_BY


def test_the_longest_name_fits_everywhere() -> None:
    """CronJob names end at 52 characters (Kubernetes, "CronJob"), Job names become labels and end at 63."""
    clinic = site(called=SiteKey("n" * 63, "a" * MAX_NAME))
    for child in (*children(clinic).values(), *jobs(clinic)):
        limit = 52 if child["kind"] == "CronJob" else 63

        assert len(child["metadata"]["name"]) <= limit, child["kind"]
        assert all(len(value) <= 63 for value in child["metadata"]["labels"].values())


def test_one_more_character_would_not_fit() -> None:
    """So the limit is no shorter than it must be."""
    crons = [c for c in children(site(called=SiteKey("n", "a" * (MAX_NAME + 1)))).values() if c["kind"] == "CronJob"]

    assert max(len(c["metadata"]["name"]) for c in crons) == 53


# The clockwork


def test_recent_runs_go_by_utc_and_full_ones_by_the_clinics_clock() -> None:
    made = children(site(timeZone="America/St_Johns"))
    recent, full = (made[f"CronJob/ocean-north-{part}"]["spec"] for part in ("recent", "full"))

    assert (recent["timeZone"], full["timeZone"]) == ("Etc/UTC", "America/St_Johns")
    assert full["schedule"] == "0 0 * * *"


def test_the_full_runs_of_a_fleet_are_spread_over_its_window() -> None:
    platform = Platform(image="x", full_window_minutes=120)
    schedules = {
        children(site(called=SiteKey("n", f"s{n}")), platform)[f"CronJob/ocean-s{n}-full"]["spec"]["schedule"]
        for n in range(50)
    }

    assert len(schedules) > 25
    assert {s.split()[1] for s in schedules} == {"0", "1"}


def test_a_cron_job_runs_one_at_a_time_and_ends() -> None:
    for child in children(site()).values():
        if child["kind"] == "CronJob":
            spec = child["spec"]
            job = spec["jobTemplate"]["spec"]

            assert spec["concurrencyPolicy"] == "Forbid"
            assert 10 <= spec["startingDeadlineSeconds"] <= 3600
            assert 0 < job["activeDeadlineSeconds"] < 3600
            assert job["ttlSecondsAfterFinished"] > 0


def test_a_run_ends_before_the_next_of_its_kind_is_due() -> None:
    """With `Forbid` a run that hangs would keep the next one from starting."""
    made = children(site())
    ends = {
        part: made[f"CronJob/ocean-north-{part}"]["spec"]["jobTemplate"]["spec"]["activeDeadlineSeconds"]
        for part in ("recent", "full")
    }

    assert ends == {"recent": 20 * 60, "full": 50 * 60}


def test_each_cron_job_runs_its_own_kind_of_synchronisation() -> None:
    made = children(site())
    args = {
        name.rsplit("-", 1)[1]: c["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]["args"]
        for name, c in made.items()
        if c["kind"] == "CronJob"
    }

    assert args == {
        "recent": ["ocean-sync", "recent", "--trigger", "Scheduled"],
        "full": ["ocean-sync", "full", "--trigger", "Scheduled"],
    }


# The pods


@pytest.mark.parametrize("emr", EmrType)
def test_every_pod_keeps_the_restricted_standard(emr: EmrType) -> None:
    """Kubernetes, "Pod Security Standards", restricted; a read-only root file system besides."""
    templates = list(pods(site(emr=EMRS[emr], enabled=True)))
    for pod in (template["spec"] for template in templates):
        container = pod["containers"][0]
        security = container["securityContext"]

        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] != 0
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert security["allowPrivilegeEscalation"] is False
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert security["readOnlyRootFilesystem"] is True
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
        assert {next(k for k in v if k != "name") for v in pod["volumes"]} <= {
            "configMap",
            "projected",
            "secret",
            "emptyDir",
        }
    assert len(templates) == (1 if emr is EmrType.NONE else 4)


def test_pods_have_no_access_to_the_api_server() -> None:
    for template in pods(site()):
        pod = template["spec"]
        sources = [s for v in pod["volumes"] for s in v.get("projected", {}).get("sources", ())]

        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False
        assert pod["serviceAccountName"] == "ocean-site-north"
        assert [s["serviceAccountToken"]["audience"] for s in sources] == [names.VAULT_AUDIENCE]
    assert children(site())["ServiceAccount/ocean-site-north"]["automountServiceAccountToken"] is False


def test_a_missing_secret_does_not_keep_a_pod_from_starting() -> None:
    """The process then says in words what is missing."""
    for template in pods(site()):
        secrets = {v["name"]: v["secret"] for v in template["spec"]["volumes"] if "secret" in v}

        assert {name: (s["secretName"], s["optional"]) for name, s in secrets.items()} == {
            "ocean": ("ocean", True),
            "emr": ("emr", True),
        }


def test_a_pod_mounts_what_it_has_and_has_what_it_mounts() -> None:
    for emr in EmrType:
        for template in pods(site(emr=EMRS[emr], enabled=True)):
            pod = template["spec"]
            mounts = pod["containers"][0]["volumeMounts"]

            assert {m["name"] for m in mounts} == {v["name"] for v in pod["volumes"]}
            assert [m["name"] for m in mounts if not m.get("readOnly")] == ["tmp"]


def test_nothing_secret_is_in_the_environment() -> None:
    assert all("env" not in t["spec"]["containers"][0] for t in pods(site()))


def test_argo_cd_is_not_woken_by_every_job_and_pod() -> None:
    clinic = site()
    quiet = "argocd.argoproj.io/ignore-resource-updates"

    assert all(t["metadata"]["annotations"][quiet] == "true" for t in pods(clinic))
    assert all(job["metadata"]["annotations"][quiet] == "true" for job in jobs(clinic))


def test_the_installations_image_and_pull_secrets_are_used() -> None:
    platform = Platform(image="registry.example/ocean:1", image_pull_policy="Always", image_pull_secrets=("pull",))
    pod = children(site(), platform)["CronJob/ocean-north-full"]["spec"]["jobTemplate"]["spec"]["template"]["spec"]

    assert (pod["containers"][0]["image"], pod["containers"][0]["imagePullPolicy"]) == (
        "registry.example/ocean:1",
        "Always",
    )
    assert pod["imagePullSecrets"] == [{"name": "pull"}]


# Settings


def test_pods_may_call_what_a_spec_may_name() -> None:
    """Admission and the pods go by one rule: what the one lets pass, the others must reach."""
    addresses = AddressRules.parse(["10.8.0.0/16"], [".emr.svc"])
    platform = replace(PLATFORM, addresses=addresses, allowed_address_ranges=("10.8.0.0/16",))
    data = config_map(site(), spec_of(site()), platform)["data"][names.SITE_SETTINGS_FILE]

    assert SiteSettings.model_validate_json(data).addresses == addresses


def test_pods_read_their_settings_as_the_operator_wrote_them() -> None:
    clinic = site()
    data = config_map(clinic, spec_of(clinic), PLATFORM)["data"][names.SITE_SETTINGS_FILE]
    read = SiteSettings.model_validate_json(data)

    assert read.spec == clinic.spec
    assert (read.namespace, read.name) == ("clinic-a", "north")
    assert read.vault == PLATFORM.vault
    assert read.database == PLATFORM.database


@pytest.mark.parametrize(
    ("change", "rolls"),
    [
        ({"timeZone": "America/Vancouver"}, True),
        ({"messages": {"combineNotes": True}}, True),
        ({"ocean": {"credentialsSecret": "ocean", "url": "https://test.cognisantmd.com"}}, True),
        ({"emr": OSCAR}, True),
        ({"displayName": "Other"}, False),
        ({"schedule": {"days": 5, "providers": "All"}}, False),
        ({"contacts": {"siteCreator": "p0001@clinic.example"}}, False),
        ({"generation": 5, "version": 99}, False),
    ],
)
def test_the_worker_is_made_anew_when_what_it_reads_changes(change: dict[str, Any], rolls: bool) -> None:  # noqa: FBT001
    """An edit of something else interrupts no delivery."""
    before, after = deployment(site()), deployment(site(**change))

    assert (before["spec"]["template"] != after["spec"]["template"]) is rolls
    assert before["spec"]["selector"] == after["spec"]["selector"]


def test_a_field_that_is_new_in_the_spec_makes_the_worker_anew_unless_it_is_known_not_to_matter() -> None:
    """Every field but those listed: forgetting one must not leave a worker with old settings."""
    digests = set()
    fields = {"language": "fr", "siteNumber": "1002", "deletionPolicy": "Delete", "key": {"source": "Generate"}}
    for name, value in fields.items():
        digests.add(settings_of(site(**{name: value})))

    assert len(digests) == 3


def test_the_worker_is_made_anew_when_the_database_moves() -> None:
    moved = replace(PLATFORM, database=DatabaseAccess(host="other.example"))

    assert settings_of(site(), moved) != settings_of(site())


def test_without_stores_the_objects_are_made_all_the_same_but_for_the_worker() -> None:
    """It could get nothing to do."""
    assert set(children(site(), NO_STORES)) == set(children(site())) - {"Deployment/ocean-north-worker"}


def test_a_clinic_whose_spec_cannot_be_read_has_no_answer() -> None:
    with pytest.raises(ValueError, match="readable spec"):
        desired_children(site(timeZone="Nowhere"), PLATFORM, may_work=False)


# The worker


def deployment(clinic: Site, platform: Platform = PLATFORM) -> Manifest:
    """The clinic's worker."""
    return children(clinic, platform)["Deployment/ocean-north-worker"]


def settings_of(clinic: Site, platform: Platform = PLATFORM) -> str:
    """The digest on its pod."""
    digest: str = deployment(clinic, platform)["spec"]["template"]["metadata"]["annotations"][SETTINGS_ANNOTATION]
    return digest


def test_there_is_never_more_than_one_worker() -> None:
    """The lease would keep a second one from writing; it would only wait for it."""
    spec = deployment(site())["spec"]

    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})
    assert "rollingUpdate" not in spec["strategy"]


def test_the_worker_runs_for_ever_and_has_time_to_hand_back() -> None:
    pod = deployment(site())["spec"]["template"]["spec"]

    assert pod["restartPolicy"] == "Always"
    assert pod["terminationGracePeriodSeconds"] == 30
    assert pod["containers"][0]["args"] == ["ocean-worker"]


def test_the_worker_is_selected_by_what_never_changes() -> None:
    """A Deployment's selector is immutable, and must not take another clinic's or another component's pods."""
    spec = deployment(site())["spec"]

    assert spec["selector"]["matchLabels"].items() <= spec["template"]["metadata"]["labels"].items()
    assert spec["selector"] == {"matchLabels": {names.SITE_LABEL: "north", names.COMPONENT_LABEL: "worker"}}


# The network


def policy(clinic: Site, platform: Platform = PLATFORM) -> Manifest:
    """The spec of the clinic's NetworkPolicy."""
    spec: Manifest = children(clinic, platform)["NetworkPolicy/ocean-north-pods"]["spec"]
    return spec


def ports(rule: Manifest) -> list[int]:
    """The ports of a rule."""
    return [p["port"] for p in rule["ports"]]


def test_nothing_comes_in_and_only_what_is_needed_goes_out() -> None:
    rules = policy(site(ocean={"credentialsSecret": "ocean", "url": "https://ocean.example:8443"}))

    assert rules["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in rules
    assert rules["podSelector"] == {"matchLabels": {names.SITE_LABEL: "north"}}
    assert [ports(rule) for rule in rules["egress"]] == [[53, 53], [443, 8443], [8200], [5432]]


def test_the_way_outside_leaves_out_private_addresses_but_those_allowed() -> None:
    allowed = ("10.20.0.0/16",)
    platform = Platform(image="x", addresses=AddressRules.parse(allowed, ()), allowed_address_ranges=allowed)
    outside = policy(site(), platform)["egress"][1]["to"]
    blocks = {peer["ipBlock"]["cidr"]: peer["ipBlock"].get("except", []) for peer in outside}

    assert {"10.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "192.168.0.0/16"} <= set(blocks["0.0.0.0/0"])
    assert {"::1/128", "fc00::/7", "fe80::/10"} <= set(blocks["::/0"])
    assert "10.20.0.0/16" in blocks


def test_stores_are_reached_through_their_peers_where_they_are_named() -> None:
    peers = ({"namespaceSelector": {"matchLabels": {"a": "b"}}},)
    platform = Platform(
        image="x", vault=PLATFORM.vault, database=PLATFORM.database, vault_peers=peers, database_peers=peers
    )
    vault, database = policy(site(), platform)["egress"][2:]

    assert (vault["to"], database["to"]) == (list(peers), list(peers))


@pytest.mark.parametrize("url", ["https://emr.example.org:99999/", "https://[abc/"])
def test_an_impossible_address_does_not_keep_the_clinic_from_being_judged(url: str) -> None:
    """Objects are made before the status is written, also for a spec with findings."""
    emr = {"type": "OscarPro", "oscarPro": {"url": url, "credentialsSecret": "emr"}}

    assert len(children(site(emr=emr), may_work=False)) == 5
    assert len(children(site(emr=emr))) == 6
