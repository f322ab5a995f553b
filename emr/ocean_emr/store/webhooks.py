"""How the gateway knows a site's webhooks: written by the site's own pods, since only they see its Secret."""

from __future__ import annotations

import hmac
import secrets
from hashlib import sha256
from typing import Final

from ocean_emr.store.database import Transaction

_SALT_BYTES: Final = 32


def digest_of(key: str, salt: bytes) -> bytes:
    """What is kept in the place of `key`. Quick to compute: for long random keys, which cannot be guessed."""
    return hmac.digest(salt, key.encode(), sha256)


async def keep(transaction: Transaction, *, site: str, key: str) -> bool:
    """From now on webhooks with this key are the site's. Returns whether that is news; if not, nothing is written.

    Args:
        transaction: Where.
        site: The clinic, as `namespace/name`.
        key: As it stands in the webhook's address at Ocean.
    """
    cursor = await transaction.execute("select salt, digest from ocean.webhook where site = %s", [site])
    row = await cursor.fetchone()
    if row is not None and hmac.compare_digest(digest_of(key, row[0]), row[1]):
        return False
    salt = secrets.token_bytes(_SALT_BYTES)
    await transaction.execute(
        """
        insert into ocean.webhook (site, salt, digest) values (%(site)s, %(salt)s, %(digest)s)
        on conflict (site) do update
           set salt = excluded.salt, digest = excluded.digest, updated_at = clock_timestamp()
        """,
        {"site": site, "salt": salt, "digest": digest_of(key, salt)},
    )
    return True


async def forget(transaction: Transaction, *, site: str) -> bool:
    """From now on the site takes no webhooks. Returns whether it took some before."""
    cursor = await transaction.execute("delete from ocean.webhook where site = %s", [site])
    return cursor.rowcount > 0
