# Vault policy for a person who looks after the messages of one clinic: list them, have them tried again, dismiss them.
# Put the OceanSite's namespace and name in the place of NAMESPACE and NAME. It opens no message: see charts-of-a-site.hcl.
#
#   bao policy write messages-NAMESPACE-NAME messages-of-a-site.hcl

# A login in PostgreSQL for two hours, as the clinic's own pods get it: the clinic's rows, and nobody else's.
path "database/creds/NAMESPACE.ocean-site-NAME" {
  capabilities = ["read"]
}

# `oceanctl` asks whose token it is, for the audit.
path "auth/token/lookup-self" {
  capabilities = ["read"]
}

# `oceanctl` ends the login when it is done. Nobody can end a lease whose long random id he does not know.
path "sys/leases/revoke" {
  capabilities = ["update"]
}
