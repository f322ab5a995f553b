{{/* What the values' schema cannot say. Rendered by the operator's Deployment, so by every installation. */}}
{{- define "ocean.validate" -}}
{{- $v := .Values -}}
{{- if and $v.vault.address $v.openbao.embedded.enabled -}}
{{- fail "vault.address and openbao.embedded.enabled: set one of them, not both" -}}
{{- end -}}
{{- if and $v.database.host $v.postgresql.embedded.enabled -}}
{{- fail "database.host and postgresql.embedded.enabled: set one of them, not both" -}}
{{- end -}}
{{- $vault := include "ocean.vaultAddress" . -}}
{{- $database := include "ocean.databaseHost" . -}}
{{- if and $vault (not $database) -}}
{{- fail "A Vault is declared, but no database: set database.host, or postgresql.embedded.enabled to try things out" -}}
{{- end -}}
{{- if and $database (not $vault) -}}
{{- fail "A database is declared, but no Vault: set vault.address, or openbao.embedded.enabled to try things out" -}}
{{- end -}}
{{- $own := and $v.openbao.embedded.enabled (not $v.postgresql.embedded.enabled) -}}
{{- if and $own (not $v.database.vaultPasswordSecret) -}}
{{- fail "openbao.embedded.enabled with a PostgreSQL of your own: set database.vaultPasswordSecret" -}}
{{- end -}}
{{- if and $v.database.vaultPasswordSecret (not $own) -}}
{{- fail "database.vaultPasswordSecret is only for openbao.embedded.enabled with a PostgreSQL of your own: leave it empty" -}}
{{- end -}}
{{- with $v.gateway -}}
{{- if .enabled -}}
{{- if not $vault -}}
{{- fail "gateway.enabled: messages are kept in PostgreSQL, and the login for it comes from Vault; set database.host and vault.address" -}}
{{- end -}}
{{- $ways := list .tls.secretName .tls.certManager.issuerName (ternary "in front" "" .tls.endsAtIngress) | compact -}}
{{- if ne (len $ways) 1 -}}
{{- fail "gateway.tls: set exactly one of secretName, certManager.issuerName and endsAtIngress: webhook keys travel there" -}}
{{- end -}}
{{- if and .tls.endsAtIngress $v.networkPolicy.enabled (not .peers) -}}
{{- fail "gateway.tls.endsAtIngress: set gateway.peers to the pods that end TLS, so that nobody else reaches the gateway in the clear" -}}
{{- end -}}
{{- if and (or .tls.certManager.issuerName .ingress.enabled .httpRoute.parentRefs) (not .host) -}}
{{- fail "gateway.host: set the name under which Ocean finds the gateway" -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and $v.keyIntake.allNamespaces $v.keyIntake.namespaces -}}
{{- fail "keyIntake.allNamespaces and keyIntake.namespaces: set one of them, not both" -}}
{{- end -}}
{{- end }}
