"""`oceanctl messages` by people with their own tokens: what they may do, and what is written down of it."""

from __future__ import annotations

import base64
import itertools
import json
from pathlib import Path
from typing import Any

import anyio
import psycopg
import pytest

from cluster.clinics import Landscape
from cluster.people import Someone, log_in, reads_of, records, seal
from integration.installation import Installation
from integration.sites import Site
from ocean_api import names

MESSAGES, CHARTS = "messages-of-a-site", "charts-of-a-site"
SAID = "Feels \x1b[31mred\x1b[0m, signed p0001"
"""With what would command a terminal."""

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def installation(landscape: Landscape) -> Installation:
    """Kubernetes, Vault and PostgreSQL; no operator is needed."""
    return landscape.installation


@pytest.fixture(scope="module")
def site(installation: Installation) -> Site:
    return installation.new_site()


@pytest.fixture(scope="module")
def clerk(installation: Installation, site: Site) -> Someone:
    """Somebody who looks after messages and may not open them."""
    return log_in(installation, "p0001", site, MESSAGES)


@pytest.fixture(scope="module")
def doctor(installation: Installation, site: Site) -> Someone:
    """Somebody who may also read charts."""
    return log_in(installation, "p0002", site, MESSAGES, CHARTS)


class Queue:
    """The clinic's messages, as its worker leaves them."""

    def __init__(self, installation: Installation, site: Site) -> None:
        self._installation, self._site = installation, site

    def add(self, state: str = "held", reason: str = "PatientNotFound", **content: Any) -> int:
        """Another message. Returns its id."""
        source = f"note-{next(_numbers)}"
        body, key = anyio.run(seal, self._installation, self._site, json.dumps(content).encode(), source)
        with psycopg.connect(self._installation.server.admin) as admin:
            row = admin.execute(
                "insert into ocean.message (site, event, step, lane, kind, source_id, version, state, reason, note,"
                " body, body_key) values (%s, 1, 1, %s, 'note', %s, 1, %s, %s, 'said by the worker', %s, %s)"
                " returning id",
                [self._site.id, bytes(32), source, state, reason if state == "held" else None, body, key],
            ).fetchone()
        assert row is not None
        number: int = row[0]
        return number

    def state(self, number: int) -> tuple[str, str | None, bool]:
        """State, reason, and whether there is still content."""
        with psycopg.connect(self._installation.server.admin) as admin:
            row = admin.execute("select state, reason, body is not null from ocean.message where id = %s", [number])
            found = row.fetchone()
        assert found is not None
        return found[0], found[1], found[2]


@pytest.fixture(scope="module")
def queue(installation: Installation, site: Site) -> Queue:
    return Queue(installation, site)


def where(site: Site) -> tuple[str, str]:
    """How a command names the clinic's namespace."""
    return "--namespace", site.namespace


# list


def test_held_messages_are_listed_without_being_opened(
    installation: Installation, site: Site, clerk: Someone, queue: Queue
) -> None:
    held, waiting = queue.add(text=SAID), queue.add("accepted")
    path = f"ocean/data/{names.sek_path(site.namespace, site.name)}"
    before = len(reads_of(installation.bao.audit_log, path))
    said = clerk.oceanctl("list", site.name, *where(site))
    shown = {m["id"]: m for m in clerk.oceanctl("list", site.name, *where(site), "-o", "json").json["messages"]}
    both = clerk.oceanctl("list", site.name, *where(site), "--all", "-o", "json").json["messages"]
    other = clerk.oceanctl("list", site.name, *where(site), "--waiting", "-o", "json").json["messages"]

    assert said.status == 0
    assert "PatientNotFound: The EMR has no chart for this patient. Create or correct the chart" in said.out
    assert "said by the worker" in said.out
    assert (shown[held]["kind"], shown[held]["state"], shown[held]["reason"]) == ("note", "held", "PatientNotFound")
    assert waiting not in shown
    assert {held, waiting} <= {m["id"] for m in both}
    assert waiting in {m["id"] for m in other}
    assert held not in {m["id"] for m in other}
    assert "p0001" not in said.out
    assert len(reads_of(installation.bao.audit_log, path)) == before


def test_the_login_ends_with_the_command(installation: Installation, site: Site, clerk: Someone) -> None:
    """Otherwise it would be good for two hours."""
    assert clerk.oceanctl("list", site.name, *where(site)).status == 0
    with psycopg.connect(installation.server.admin) as admin:
        left = admin.execute(
            "select count(*) from pg_auth_members join pg_roles on pg_roles.oid = roleid where rolname = %s",
            [names.postgres_role(site.namespace, site.name)],
        ).fetchone()

    assert left == (0,)


# show


def test_a_message_is_shown_to_whom_vault_gives_the_key(
    installation: Installation, site: Site, doctor: Someone, queue: Queue
) -> None:
    """In the audit before Vault is asked, in Vault's log with the person's name, and harmless to a terminal."""
    number = queue.add(person={"first_name": "p0001"}, text=SAID)
    said = doctor.oceanctl("show", site.name, str(number), *where(site), "--reason", "to correct the chart")
    parsed = doctor.oceanctl("show", site.name, str(number), *where(site), "--reason", "for a script", "-o", "json")
    path = f"ocean/data/{names.sek_path(site.namespace, site.name)}"
    ours = [r for r in records(installation, site) if r[1] == "message.show" and r[2]["message"] == number]
    readers = [when for who, when in reads_of(installation.bao.audit_log, path) if who == "userpass-p0002"]

    assert said.status == 0
    assert "first_name: p0001" in said.out
    assert "\x1b" not in said.out
    assert parsed.json["content"] == {"person": {"first_name": "p0001"}, "text": SAID}
    assert [(actor, what["why"], outcome) for actor, _, what, outcome, _ in ours] == [
        ("person:userpass-p0002", "to correct the chart", "begun"),
        ("person:userpass-p0002", "for a script", "begun"),
    ]
    assert len(readers) == 2
    assert all(at < when for (*_, at), when in zip(ours, readers, strict=True))


def test_a_message_is_not_shown_without_the_right(
    installation: Installation, site: Site, clerk: Someone, queue: Queue
) -> None:
    """That it was tried stays in the audit."""
    number = queue.add(text=SAID)
    said = clerk.oceanctl("show", site.name, str(number), *where(site), "--reason", "curious")

    assert (said.status, said.out) == (1, "")
    assert "Vault refused to read ocean/sites/" in said.err
    assert "docs/how-to/held-messages.md" in said.err
    assert records(installation, site)[-1][:2] == ("person:userpass-p0001", "message.show")


@pytest.mark.parametrize("reason", ["", "   ", "two\nlines", "x" * 501])
def test_a_message_is_not_shown_without_a_reason(site: Site, doctor: Someone, reason: str) -> None:
    said = doctor.oceanctl("show", site.name, "1", *where(site), "--reason", reason)

    assert said.status == 2
    assert "--reason" in said.err


def test_the_reason_is_asked_for(installation: Installation, site: Site, doctor: Someone, queue: Queue) -> None:
    number = queue.add(text=SAID)
    said = doctor.oceanctl("show", site.name, str(number), *where(site), stdin="asked for\n")

    assert said.status == 0
    assert records(installation, site)[-1][2]["why"] == "asked for"


def test_a_file_is_written_where_only_the_person_reads_it(
    site: Site, doctor: Someone, queue: Queue, tmp_path: Path
) -> None:
    number = queue.add(title="p0001.pdf", data=base64.b64encode(b"%PDF of p0001").decode())
    target = tmp_path / "message.pdf"
    command = ("show", site.name, str(number), *where(site), "--reason", "to see it", "--save", str(target))
    said, again = doctor.oceanctl(*command), doctor.oceanctl(*command)

    assert said.status == 0
    assert "13 bytes" in said.out
    assert target.read_bytes() == b"%PDF of p0001"
    assert target.stat().st_mode & 0o777 == 0o600
    assert again.status == 1
    assert "File exists" in again.err


# retry


def test_a_message_is_tried_again_and_the_worker_hears_of_it(
    installation: Installation, site: Site, clerk: Someone, queue: Queue
) -> None:
    numbers = [queue.add(), queue.add()]
    with psycopg.connect(installation.server.admin, autocommit=True) as listener:
        listener.execute(f"listen {names.message_channel(site.namespace, site.name)}")
        said = clerk.oceanctl("retry", site.name, *map(str, numbers), *where(site))
        heard = list(listener.notifies(timeout=10, stop_after=1))

    assert (said.status, said.out) == (0, f"Messages {numbers[0]}, {numbers[1]}: tried again.\n")
    assert [queue.state(n)[:2] for n in numbers] == [("accepted", None)] * 2
    assert len(heard) == 1
    assert [(actor, action, what["message"]) for actor, action, what, *_ in records(installation, site)[-2:]] == [
        ("person:userpass-p0001", "message.retry", number) for number in numbers
    ]


def test_of_several_messages_all_are_tried_again_or_none(site: Site, clerk: Someone, queue: Queue) -> None:
    number = queue.add()
    said = clerk.oceanctl("retry", site.name, str(number), "987654321", *where(site))

    assert said.status == 3
    assert "has no message 987654321" in said.err
    assert queue.state(number)[0] == "held"


def test_what_the_emr_may_have_already_is_tried_again_by_whoever_has_looked(
    site: Site, clerk: Someone, queue: Queue
) -> None:
    """Otherwise it would be in the chart twice."""
    unsure, sure = queue.add(reason="EmrOutcomeUnknown"), queue.add()
    refused = clerk.oceanctl("retry", site.name, str(unsure), *where(site))
    every = clerk.oceanctl("retry", site.name, "--all-held", *where(site), "-o", "json")
    assert (refused.status, queue.state(unsure)[0], queue.state(sure)[0]) == (4, "held", "accepted")
    assert "Look into the chart" in refused.err
    assert sure in every.json["retried"]
    assert every.json["left"] == [unsure]
    looked = clerk.oceanctl("retry", site.name, str(unsure), "--not-in-chart", *where(site))

    assert looked.status == 0
    assert queue.state(unsure)[0] == "accepted"


@pytest.mark.parametrize("args", [(), ("1", "--all-held"), ("--all-held", "--not-in-chart")])
def test_a_retry_says_what(site: Site, clerk: Someone, args: tuple[str, ...]) -> None:
    assert clerk.oceanctl("retry", site.name, *args, *where(site)).status == 2


# dismiss


def test_a_message_is_dismissed_with_a_reason_and_its_content_is_gone(
    installation: Installation, site: Site, clerk: Someone, queue: Queue
) -> None:
    number = queue.add(text=SAID)
    said = clerk.oceanctl("dismiss", site.name, str(number), *where(site), "--reason", "entered by hand")
    again = clerk.oceanctl("dismiss", site.name, str(number), *where(site), "--reason", "entered by hand")
    actor, action, what, outcome, _ = records(installation, site)[-1]

    assert (said.status, said.out) == (0, f"Message {number}: dismissed.\n")
    assert queue.state(number) == ("dismissed", "MessageDismissed", False)
    assert (actor, action, outcome) == ("person:userpass-p0001", "message.dismiss", "done")
    assert what == {"message": number, "why": "entered by hand"}
    assert again.status == 4
    assert "Nothing was done." in again.err


def test_what_waits_is_not_dismissed(site: Site, clerk: Someone, queue: Queue) -> None:
    """Nothing leaves the queue any other way."""
    number = queue.add("accepted")

    assert clerk.oceanctl("dismiss", site.name, str(number), *where(site), "--reason", "in a hurry").status == 4
    assert queue.state(number)[0] == "accepted"


# Whom it is refused to


def test_another_clinics_messages_are_out_of_reach(installation: Installation, clerk: Someone) -> None:
    other = installation.new_site()
    said = clerk.oceanctl("list", other.name, *where(other))

    assert (said.status, said.out) == (1, "")
    assert "Vault refused to get a database login" in said.err


def test_the_token_of_nobody_is_refused(installation: Installation, site: Site) -> None:
    said = Someone(installation, "p0009", "s.nobody").oceanctl("list", site.name, *where(site))

    assert said.status == 1
    assert "vault login" in said.err
    assert "s.nobody" not in said.err


def test_a_token_in_the_home_folder_serves(site: Site, clerk: Someone, tmp_path: Path) -> None:
    (tmp_path / ".vault-token").write_text(clerk.token + "\n")

    assert clerk.oceanctl("list", site.name, *where(site), VAULT_TOKEN="", HOME=str(tmp_path)).status == 0
    assert clerk.oceanctl("list", site.name, *where(site), VAULT_TOKEN="", HOME=str(tmp_path / "x")).status == 1


@pytest.mark.parametrize(
    ("environment", "status", "word"),
    [
        ({"VAULT_ADDR": ""}, 2, "--vault-address"),
        ({"VAULT_ADDR": "http://vault.example"}, 2, "https://"),
        ({"VAULT_ADDR": "https://localhost:1"}, 1, "VAULT_ADDR"),
        ({"OCEAN_DATABASE_HOST": ""}, 2, "--database-host"),
        ({"OCEAN_DATABASE_PORT": "1"}, 1, "PostgreSQL"),
    ],
    ids=["no Vault", "Vault in the clear", "Vault away", "no database", "database away"],
)
def test_what_is_missing_is_named(
    site: Site, clerk: Someone, environment: dict[str, str], status: int, word: str
) -> None:
    said = clerk.oceanctl("list", site.name, *where(site), **environment)

    assert said.status == status
    assert word in said.err
    assert said.out == ""
