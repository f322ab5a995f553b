"""Ocean as the data plane sees it: prove access, try a key, put records, remove them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import Self

from ocean_api.addresses import PUBLIC_ONLY, AddressRules
from ocean_emr.ocean import profile
from ocean_emr.ocean.crypto import EncryptedBlock, SharedEncryptionKey, decrypt, read_json_object
from ocean_emr.ocean.errors import Call, OceanAnswerUnreadableError, SekMismatchError
from ocean_emr.ocean.exchange import MAX_ANSWER_BYTES, Answer, Exchange, expect_success
from ocean_emr.ocean.login import ClientCredentials, SiteCredential, login_for
from ocean_emr.ocean.profile import BatchResult, Upload

NAMING_SYSTEM_PATH = "/svc/fhir/v1/NamingSystem/id-site-number"
PRIVATE_KEY_PATH = "/svc/v1/site/privateKey"

_ONLY_SITE_CREDENTIAL = (
    "Ocean documents this call for `siteKey` and `siteCredential` only, and this site logs in with a client id: "
    "put those two into the Secret instead."
)
_NO_UPLOADS = (
    "Uploads use this product's own, unverified interface (docs/explanation/ocean-boundary.md): see that "
    "`spec.ocean.url` names a server that has it."
)


@dataclass(frozen=True, slots=True)
class OceanAccess:
    """Where a clinic's Ocean is and how to log in. Safe to show: credentials hide themselves."""

    url: str
    site_number: str
    credential: SiteCredential | ClientCredentials
    ca_bundle: str | None = None
    """PEM text of the authorities to trust instead of the public ones."""
    addresses: AddressRules = PUBLIC_ONLY
    """Where connections may lead."""


class KeyTrial(StrEnum):
    """What trying a key on Ocean's own material showed."""

    KNOWN = "known"
    """It opens what Ocean has encrypted for the site."""
    MISMATCH = "mismatch"
    """Ocean's material was encrypted under another key."""
    OCEAN_HAS_NO_KEY = "ocean has no key"
    """Ocean has nothing to compare with yet. Proves nothing about the key."""


class OceanClient:
    """One clinic's line to Ocean. Use it as an async context manager; every call raises `OceanError` as errors.py says.

    It keeps no Shared Encryption Key: a call that needs one is given it.
    """

    def __init__(self, access: OceanAccess, *, deadline_seconds: float = 30.0) -> None:
        """Prepare; nothing is sent.

        Args:
            access: Whose Ocean.
            deadline_seconds: For one attempt at one request; up to three are made.

        Raises:
            OceanError: The address, the authority or the credential cannot be used as it is written.
        """
        self.site_number = access.site_number
        self._by_token = isinstance(access.credential, ClientCredentials)
        self._login = login_for(access.site_number, access.credential)
        self._exchange = Exchange(
            access.url, ca_bundle=access.ca_bundle, deadline_seconds=deadline_seconds, addresses=access.addresses
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        """Close the connections."""
        await self._exchange.close()

    async def check(self) -> None:
        """Prove that Ocean answers and accepts the credential, by the call that goes with its kind.

        Source: the connection test of oceanmdlabs/autorouter (token); `getPrivateKeys` in
        dougkavanagh/ocean-ts-integration (site credential).
        """
        if not self._by_token:
            await self.private_key_block()
            return
        answer = await self._ask(Call.CHECK, "GET", NAMING_SYSTEM_PATH, accept="application/fhir+json")
        expect_success(Call.CHECK, answer)
        if not isinstance(answer.json(Call.CHECK), dict):
            raise OceanAnswerUnreadableError("Ocean's answer is no resource", call=Call.CHECK)

    async def private_key_block(self) -> EncryptedBlock | None:
        """The site's RSA keys, encrypted under its SEK; `None` when Ocean has none for the site.

        Documented for the site credential. UNVERIFIED: asking by token, and that 204 or an empty value means "none".
        Neither a 404 nor an empty body does: a wrong address gives those, too.

        Source: `getPrivateKeys` in dougkavanagh/ocean-ts-integration: data in the body, the IV in a header.
        """
        call = Call.READ_PRIVATE_KEY
        answer = await self._ask(call, "GET", PRIVATE_KEY_PATH)
        expect_success(call, answer, remedy=_ONLY_SITE_CREDENTIAL if self._by_token else None)
        data = None if answer.status == HTTPStatus.NO_CONTENT else answer.json(call)
        if data in (None, "", []):
            return None
        return EncryptedBlock.of(data, answer.headers.get("iv"))

    async def trial_decrypt(self, sek: SharedEncryptionKey) -> KeyTrial:
        """Whether `sek` is the key that Ocean's own material for the site was encrypted under."""
        block = await self.private_key_block()
        if block is None:
            return KeyTrial.OCEAN_HAS_NO_KEY
        try:
            # The plaintext is one JSON object per key pair, joined by `|`. Source: `decryptPrivateKeys`, same client.
            for pair in decrypt(block, sek.key_bytes()).split(b"|"):
                read_json_object(pair)
        except SekMismatchError:
            return KeyTrial.MISMATCH
        return KeyTrial.KNOWN

    async def upsert_patients(self, batch: Sequence[Upload], sek: SharedEncryptionKey) -> BatchResult:
        """Put each record in the place of whatever Ocean has under its ref. UNVERIFIED: see profile.py.

        Args:
            batch: At most `profile.MAX_BATCH`, each ref once.
            sek: What each item's one-time key is encrypted under.

        Raises:
            SekMismatchError: Ocean says that another key is in use for the site.
        """
        return await self._upsert(Call.UPSERT_PATIENTS, profile.PATIENTS_PATH, batch, sek)

    async def upsert_appointments(self, batch: Sequence[Upload], sek: SharedEncryptionKey) -> BatchResult:
        """As `upsert_patients`, for appointments."""
        return await self._upsert(Call.UPSERT_APPOINTMENTS, profile.APPOINTMENTS_PATH, batch, sek)

    async def remove_appointments(self, refs: Sequence[str]) -> BatchResult:
        """Take the appointments away; one that is not there counts as accepted. UNVERIFIED: see profile.py."""
        call = Call.REMOVE_APPOINTMENTS
        profile.check_batch(refs)
        if not refs:
            return BatchResult(())
        return await self._change(call, "POST", profile.REMOVALS_PATH, profile.removal_body(refs), refs)

    async def _upsert(self, call: Call, path: str, batch: Sequence[Upload], sek: SharedEncryptionKey) -> BatchResult:
        refs = [upload.ref for upload in batch]
        profile.check_batch(refs)
        if not refs:
            return BatchResult(())
        result = await self._change(call, "PUT", path, profile.upsert_body(batch, sek), refs)
        if any(item.code == profile.WRONG_KEY for item in result.rejected):
            # Not a fault of the records: every other one would be rejected, too.
            raise SekMismatchError(call=call)
        return result

    async def _change(self, call: Call, method: str, path: str, body: bytes, refs: Sequence[str]) -> BatchResult:
        answer = await self._ask(call, method, path, content=body)
        expect_success(call, answer, remedy=_NO_UPLOADS if answer.status == HTTPStatus.NOT_FOUND else None)
        return profile.read_results(answer.json(call), refs, call)

    async def _ask(  # noqa: PLR0913 - keywords, all of them parts of one request
        self,
        call: Call,
        method: str,
        path: str,
        *,
        accept: str = "application/json",
        content: bytes | None = None,
        most_bytes: int = MAX_ANSWER_BYTES,
    ) -> Answer:
        """Ocean's answer as the site, with a new token if the old one was no longer accepted.

        Any request may be repeated after its answer was lost: reads change nothing, and the profile's changes have
        the same effect once and twice.
        """
        about = {"accept": accept, "content-type": "application/json"}

        async def as_site() -> Answer:
            headers = {**about, **await self._login.headers(self._exchange)}
            return await self._exchange.send(
                call, method, path, headers=headers, content=content, most_bytes=most_bytes
            )

        answer = await as_site()
        if answer.status == HTTPStatus.UNAUTHORIZED and self._login.renew():
            answer = await as_site()
        return answer
