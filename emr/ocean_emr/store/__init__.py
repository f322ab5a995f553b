"""What a site keeps in PostgreSQL, and all SQL that the data plane speaks.

`Database` gives transactions under a short-lived login; the other modules are functions that take one:
`leases` (one writer), `states` (what the operator reads), `snapshots` (what Ocean was last told), `data_keys`
(what seals them) and `audit`. Row-level security shows each login its own site's rows; every statement names
the site all the same, so that no mistake in a policy alone can mix up two clinics.
"""
