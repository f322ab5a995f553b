# Vault policy for a person who may also open the messages of one clinic and read what is in them: chart content.
# In addition to messages-of-a-site.hcl. It opens the clinic's Shared Encryption Key, so give it to those who may know it.
#
#   bao policy write charts-NAMESPACE-NAME charts-of-a-site.hcl

# Every reading is in Vault's audit log with the person's name.
path "ocean/data/sites/NAMESPACE/ocean-site-NAME/sek" {
  capabilities = ["read"]
}
