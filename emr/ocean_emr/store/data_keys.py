"""The keys that seal a site's stored records, wrapped under its Shared Encryption Key (`ocean_emr.envelope`)."""

from __future__ import annotations

from ocean_emr.store.database import Transaction


async def put(transaction: Transaction, *, site: str, sek_fingerprint: str, envelope: bytes) -> bytes:
    """The envelope kept for that SEK: `envelope`, or the one that was there first.

    Args:
        transaction: Where.
        site: The clinic, as `namespace/name`.
        sek_fingerprint: The SEK's random id in Vault.
        envelope: A new data key, wrapped.
    """
    await transaction.execute(
        """
        insert into ocean.data_key (site, sek_fingerprint, envelope) values (%s, %s, %s) on conflict do nothing
        """,
        [site, sek_fingerprint, envelope],
    )
    kept = await read(transaction, site=site, sek_fingerprint=sek_fingerprint)
    return envelope if kept is None else kept


async def read(transaction: Transaction, *, site: str, sek_fingerprint: str) -> bytes | None:
    """The envelope kept for that SEK, if there is one."""
    cursor = await transaction.execute(
        "select envelope from ocean.data_key where site = %s and sek_fingerprint = %s", [site, sek_fingerprint]
    )
    row = await cursor.fetchone()
    return None if row is None else row[0]


async def read_all(transaction: Transaction, *, site: str) -> dict[str, bytes]:
    """Every envelope of the site, by the SEK's fingerprint. What was sealed under an earlier SEK needs its own."""
    cursor = await transaction.execute("select sek_fingerprint, envelope from ocean.data_key where site = %s", [site])
    return dict(await cursor.fetchall())
