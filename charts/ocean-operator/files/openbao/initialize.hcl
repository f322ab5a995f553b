# What OpenBao holds for Ocean, done once on the very first start ("self-initialization"): mounts, policies,
# roles. The root token it is done with is revoked before anyone could use it. A failure half-way is not
# repeated: empty the storage and start again.
#
# This is the only definition: the chart, the local servers and the tests start OpenBao with this file as it is.
# Values that differ between installations come from the environment:
#
#   OCEAN_KUBERNETES_HOST           https address of the API server
#   OCEAN_KUBERNETES_OUTSIDE        "false" when OpenBao is a pod of that cluster: it reviews tokens as itself;
#                                   "true" when it is not: then it needs the next two
#   OCEAN_KUBERNETES_CA             the API server's CA as PEM
#   OCEAN_KUBERNETES_REVIEWER       token of a service account with system:auth-delegator
#   OCEAN_CONTROL_NAMESPACE         namespace of the operator, the gateway and the migrate Job
#   OCEAN_OPERATOR_ACCOUNT          the operator's service account
#   OCEAN_MIGRATE_ACCOUNT           the migrate Job's service account
#   OCEAN_GATEWAY_ACCOUNT           the gateway's service account
#   OCEAN_DATABASE_CONNECTION       postgresql://{{username}}:{{password}}@<host>:5432/ocean?sslmode=verify-full,
#                                   with &sslrootcert=<path of PostgreSQL's CA> if that is not a public one
#   OCEAN_VAULT_DATABASE_PASSWORD   first password of PostgreSQL's role ocean_vault
#
# Why each right is there, and what is tried against it: docs/explanation/identity.md

initialize "mounts" {
  request "keys" {
    operation = "update"
    path      = "sys/mounts/ocean"
    data = {
      type        = "kv"
      description = "Shared Encryption Keys, one for each clinic"
      options     = { version = "2" }
    }
  }

  request "database" {
    operation = "update"
    path      = "sys/mounts/database"
    data = {
      type        = "database"
      description = "Short-lived PostgreSQL logins"
    }
  }

  # The login's name begins with a digest of the Vault role it was asked from; PostgreSQL looks up by it what
  # the login may become. So no statement names a clinic, and all roles share the same two statements.
  # Not verified here: PostgreSQL may start later than OpenBao.
  request "database_connection" {
    operation = "update"
    path      = "database/config/ocean"
    data = {
      plugin_name             = "postgresql-database-plugin"
      allowed_roles           = "*"
      verify_connection       = false
      connection_url          = { eval_source = "env", eval_type = "string", env_var = "OCEAN_DATABASE_CONNECTION", require_present = true }
      username                = "ocean_vault"
      password                = { eval_source = "env", eval_type = "string", env_var = "OCEAN_VAULT_DATABASE_PASSWORD", require_present = true }
      password_authentication = "scram-sha-256"
      username_template       = "{{ printf \"v_%s_%s\" (.RoleName | sha256 | truncate 20) (random 20) }}"
    }
  }

  request "kubernetes" {
    operation = "update"
    path      = "sys/auth/kubernetes"
    data = {
      type        = "kubernetes"
      description = "Pods, by their projected service-account token"
    }
  }

  request "kubernetes_mount" {
    operation = "read"
    path      = "sys/auth/kubernetes"
  }

  request "kubernetes_connection" {
    operation = "update"
    path      = "auth/kubernetes/config"
    data = {
      kubernetes_host      = { eval_source = "env", eval_type = "string", env_var = "OCEAN_KUBERNETES_HOST", require_present = true }
      kubernetes_ca_cert   = { eval_source = "env", eval_type = "string", env_var = "OCEAN_KUBERNETES_CA" }
      token_reviewer_jwt   = { eval_source = "env", eval_type = "string", env_var = "OCEAN_KUBERNETES_REVIEWER" }
      disable_local_ca_jwt = { eval_source = "env", eval_type = "string", env_var = "OCEAN_KUBERNETES_OUTSIDE", require_present = true }
    }
  }
}

# A site's pods: one policy for all of them. Vault puts in the service account that logged in.
initialize "sites" {
  request "policy" {
    operation = "update"
    path      = "sys/policies/acl/ocean-site"
    data = {
      policy = {
        eval_source = "template"
        eval_type   = "string"
        template    = <<-EOT
          {{ `
          path "ocean/data/sites/{{identity.entity.aliases.ACCESSOR.metadata.service_account_namespace}}/{{identity.entity.aliases.ACCESSOR.metadata.service_account_name}}/sek" {
            capabilities = ["read"]
          }
          path "database/creds/{{identity.entity.aliases.ACCESSOR.metadata.service_account_namespace}}.{{identity.entity.aliases.ACCESSOR.metadata.service_account_name}}" {
            capabilities = ["read"]
          }
          path "auth/token/revoke-self" {
            capabilities = ["update"]
          }
          ` | replace "ACCESSOR" .responses.mounts.kubernetes_mount.data.accessor }}
        EOT
      }
    }
  }

  # Any service account may come: the policy opens only what bears its own name. A token outlives every Job,
  # because a database login ends with the token it was asked with.
  request "role" {
    operation = "update"
    path      = "auth/kubernetes/role/ocean-site"
    data = {
      bound_service_account_names      = ["ocean-site-*"]
      bound_service_account_namespaces = ["*"]
      audience                         = "ocean-vault"
      token_policies                   = ["ocean-site"]
      token_no_default_policy          = true
      token_ttl                        = "3h"
      token_max_ttl                    = "3h"
    }
  }
}

# The operator: stores keys and never sees one, makes database roles and cannot use them.
initialize "operator" {
  request "policy" {
    operation = "update"
    path      = "sys/policies/acl/ocean-operator"
    data = {
      policy = <<-EOT
        # Store a key where there is none. Reading or replacing one is somebody else's right.
        path "ocean/data/sites/+/+/sek" {
          capabilities = ["create"]
        }
        # Its fingerprint, source and version; `delete` is for `deletionPolicy: Delete`.
        path "ocean/metadata/sites/+/+/sek" {
          capabilities       = ["read", "patch", "delete"]
          allowed_parameters = { "custom_metadata" = [] }
        }
        # A role for each site, with these statements and no others: an SQL statement of the operator's own
        # would run with Vault's rights in PostgreSQL.
        path "database/roles/+" {
          capabilities        = ["create", "read", "update", "delete"]
          required_parameters = ["db_name", "creation_statements", "revocation_statements", "default_ttl", "max_ttl"]
          allowed_parameters = {
            "db_name"               = ["ocean"]
            "creation_statements"   = ["select ocean_login.create_login('{{name}}', '{{password}}', '{{expiration}}')"]
            "revocation_statements" = ["select ocean_login.drop_login('{{name}}')"]
            "default_ttl"           = ["2h"]
            "max_ttl"               = ["2h"]
          }
        }
        path "database/roles/ocean-operator" {
          capabilities = ["deny"]
        }
        path "database/roles/ocean-migrate" {
          capabilities = ["deny"]
        }
        path "database/roles/ocean-gateway" {
          capabilities = ["deny"]
        }
        path "database/creds/ocean-operator" {
          capabilities = ["read"]
        }
        path "ocean/data/canary" {
          capabilities = ["read"]
        }
        path "auth/token/revoke-self" {
          capabilities = ["update"]
        }
      EOT
    }
  }

  # It keeps a token for two thirds of this, so that what is left always covers a database login.
  request "role" {
    operation = "update"
    path      = "auth/kubernetes/role/ocean-operator"
    data = {
      bound_service_account_names      = { eval_source = "env", eval_type = "string", env_var = "OCEAN_OPERATOR_ACCOUNT", require_present = true }
      bound_service_account_namespaces = { eval_source = "env", eval_type = "string", env_var = "OCEAN_CONTROL_NAMESPACE", require_present = true }
      audience                         = "ocean-vault"
      token_policies                   = ["ocean-operator"]
      token_no_default_policy          = true
      token_ttl                        = "6h"
      token_max_ttl                    = "6h"
    }
  }

  request "database_role" {
    operation = "update"
    path      = "database/roles/ocean-operator"
    data = {
      db_name               = "ocean"
      creation_statements   = "select ocean_login.create_login('{{name}}', '{{password}}', '{{expiration}}')"
      revocation_statements = "select ocean_login.drop_login('{{name}}')"
      default_ttl           = "2h"
      max_ttl               = "2h"
    }
  }
}

# The migrate Job: a login that owns the schema, for the few minutes it needs.
initialize "migrate" {
  request "policy" {
    operation = "update"
    path      = "sys/policies/acl/ocean-migrate"
    data = {
      policy = <<-EOT
        path "database/creds/ocean-migrate" {
          capabilities = ["read"]
        }
        path "auth/token/revoke-self" {
          capabilities = ["update"]
        }
      EOT
    }
  }

  request "role" {
    operation = "update"
    path      = "auth/kubernetes/role/ocean-migrate"
    data = {
      bound_service_account_names      = { eval_source = "env", eval_type = "string", env_var = "OCEAN_MIGRATE_ACCOUNT", require_present = true }
      bound_service_account_namespaces = { eval_source = "env", eval_type = "string", env_var = "OCEAN_CONTROL_NAMESPACE", require_present = true }
      audience                         = "ocean-vault"
      token_policies                   = ["ocean-migrate"]
      token_no_default_policy          = true
      token_ttl                        = "1h"
      token_max_ttl                    = "1h"
    }
  }

  request "database_role" {
    operation = "update"
    path      = "database/roles/ocean-migrate"
    data = {
      db_name               = "ocean"
      creation_statements   = "select ocean_login.create_login('{{name}}', '{{password}}', '{{expiration}}')"
      revocation_statements = "select ocean_login.drop_login('{{name}}')"
      default_ttl           = "1h"
      max_ttl               = "1h"
    }
  }
}

# The gateway: keeps what Ocean tells, for every clinic, and can read nothing of it again. It asks for a new
# login, with a token of its own, when half of the old one's life is over.
initialize "gateway" {
  request "policy" {
    operation = "update"
    path      = "sys/policies/acl/ocean-gateway"
    data = {
      policy = <<-EOT
        path "database/creds/ocean-gateway" {
          capabilities = ["read"]
        }
        path "auth/token/revoke-self" {
          capabilities = ["update"]
        }
      EOT
    }
  }

  request "role" {
    operation = "update"
    path      = "auth/kubernetes/role/ocean-gateway"
    data = {
      bound_service_account_names      = { eval_source = "env", eval_type = "string", env_var = "OCEAN_GATEWAY_ACCOUNT", require_present = true }
      bound_service_account_namespaces = { eval_source = "env", eval_type = "string", env_var = "OCEAN_CONTROL_NAMESPACE", require_present = true }
      audience                         = "ocean-vault"
      token_policies                   = ["ocean-gateway"]
      token_no_default_policy          = true
      token_ttl                        = "3h"
      token_max_ttl                    = "3h"
    }
  }

  request "database_role" {
    operation = "update"
    path      = "database/roles/ocean-gateway"
    data = {
      db_name               = "ocean"
      creation_statements   = "select ocean_login.create_login('{{name}}', '{{password}}', '{{expiration}}')"
      revocation_statements = "select ocean_login.drop_login('{{name}}')"
      default_ttl           = "2h"
      max_ttl               = "2h"
    }
  }
}

# Last, because a new KV mount answers "upgrading" for a moment, and a refusal here would spoil the first start.
# Each of the reads lets it have 15 ms more, if it still needs them.
initialize "keys" {
  request "settle_1" {
    operation     = "read"
    path          = "ocean/config"
    allow_failure = true
  }

  request "settle_2" {
    operation     = "read"
    path          = "ocean/config"
    allow_failure = true
  }

  request "settle_3" {
    operation     = "read"
    path          = "ocean/config"
    allow_failure = true
  }

  request "settle_4" {
    operation     = "read"
    path          = "ocean/config"
    allow_failure = true
  }

  # Without check-and-set a second writer would silently replace a key.
  request "keys_config" {
    operation = "update"
    path      = "ocean/config"
    data      = { cas_required = true }
  }

  # Health answers 200 while no audit device can write; reading this tells the truth.
  request "canary" {
    operation = "update"
    path      = "ocean/data/canary"
    data = {
      data    = { canary = "alive" }
      options = { cas = 0 }
    }
  }
}
