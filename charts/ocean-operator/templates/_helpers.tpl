{{/*
Names are fixed, whatever the release is called: the definition of OceanSite, the Lease and Vault's roles allow for one
installation in a cluster only, and a second one is refused by Helm because these names are taken.
*/}}

{{/* What tells the pods of one part apart. Takes (list $ "ocean-operator"). */}}
{{- define "ocean.selector" -}}
app.kubernetes.io/name: {{ index . 1 }}
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
{{- end }}

{{/* Labels of everything. Takes (list $ "ocean-operator"). */}}
{{- define "ocean.labels" -}}
{{- $ := index . 0 -}}
{{ include "ocean.selector" . }}
app.kubernetes.io/part-of: ocean-cloud-connect
app.kubernetes.io/managed-by: {{ $.Release.Service }}
app.kubernetes.io/version: {{ $.Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" $.Chart.Name ($.Chart.Version | replace "+" "_") }}
{{- end }}

{{/* An image's full name. Takes (list $ .Values.image). */}}
{{- define "ocean.image" -}}
{{- $image := index . 1 -}}
{{- $name := $image.repository -}}
{{- if $image.registry }}{{ $name = printf "%s/%s" $image.registry $name }}{{ end -}}
{{- if $image.digest -}}
{{ printf "%s@%s" $name $image.digest }}
{{- else -}}
{{ printf "%s:%s" $name ($image.tag | default (index . 0).Chart.AppVersion) }}
{{- end -}}
{{- end }}

{{/* Where and how pods of the chart run, for a pod's spec. */}}
{{- define "ocean.scheduling" -}}
enableServiceLinks: false
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Security of a pod in the restricted Pod Security Standard. Takes (list uid gid). */}}
{{- define "ocean.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ index . 0 }}
runAsGroup: {{ index . 1 }}
fsGroup: {{ index . 1 }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{/* Security of a container in the restricted Pod Security Standard. */}}
{{- define "ocean.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* Vault's address; empty: there is none. */}}
{{- define "ocean.vaultAddress" -}}
{{- if .Values.openbao.embedded.enabled -}}
https://ocean-openbao.{{ .Release.Namespace }}.svc:8200
{{- else -}}
{{ .Values.vault.address | trimSuffix "/" }}
{{- end -}}
{{- end }}

{{- define "ocean.vaultPort" -}}
{{- $host := get (urlParse (include "ocean.vaultAddress" .)) "host" -}}
{{- regexFind ":[0-9]+$" $host | trimPrefix ":" | default "443" -}}
{{- end }}

{{/* PostgreSQL's host; empty: there is none. */}}
{{- define "ocean.databaseHost" -}}
{{- if .Values.postgresql.embedded.enabled -}}
ocean-postgresql.{{ .Release.Namespace }}.svc
{{- else -}}
{{ .Values.database.host }}
{{- end -}}
{{- end }}

{{- define "ocean.databasePort" -}}
{{- if .Values.postgresql.embedded.enabled }}5432{{ else }}{{ .Values.database.port }}{{ end -}}
{{- end }}

{{/* "true" where keys and state have a place; see _validate.tpl. */}}
{{- define "ocean.hasStores" -}}
{{- if include "ocean.vaultAddress" . }}true{{ end -}}
{{- end }}

{{/* Peers by which an embedded server is reached from any namespace. Takes (list $ "ocean-openbao"). */}}
{{- define "ocean.serverPeers" -}}
- namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: {{ (index . 0).Release.Namespace }}}}
  podSelector: {matchLabels: {app.kubernetes.io/name: {{ index . 1 }}}}
{{- end }}

{{- define "ocean.vaultPeers" -}}
{{- if .Values.openbao.embedded.enabled -}}
{{ include "ocean.serverPeers" (list . "ocean-openbao") }}
{{- else if .Values.vault.peers -}}
{{ toYaml .Values.vault.peers }}
{{- end -}}
{{- end }}

{{- define "ocean.databasePeers" -}}
{{- if .Values.postgresql.embedded.enabled -}}
{{ include "ocean.serverPeers" (list . "ocean-postgresql") }}
{{- else if .Values.database.peers -}}
{{ toYaml .Values.database.peers }}
{{- end -}}
{{- end }}

{{/* Source of a certificate authority for a volume; empty: the public ones. Takes (list embedded server caBundle). */}}
{{- define "ocean.caSource" -}}
{{- $bundle := index . 2 -}}
{{- if index . 0 -}}
secret: {secretName: {{ index . 1 }}-tls, items: [{key: ca.crt, path: ca.crt}]}
{{- else if $bundle.configMapName -}}
configMap: {name: {{ $bundle.configMapName }}, items: [{key: {{ $bundle.key }}, path: ca.crt}]}
{{- else if $bundle.secretName -}}
secret: {secretName: {{ $bundle.secretName }}, items: [{key: {{ $bundle.key }}, path: ca.crt}]}
{{- end -}}
{{- end }}

{{- define "ocean.vaultCa" -}}
{{ include "ocean.caSource" (list .Values.openbao.embedded.enabled "ocean-openbao" .Values.vault.caBundle) }}
{{- end }}

{{- define "ocean.databaseCa" -}}
{{ include "ocean.caSource" (list .Values.postgresql.embedded.enabled "ocean-postgresql" .Values.database.caBundle) }}
{{- end }}

{{/* Environment, volumes and mounts with which a process reaches Vault and PostgreSQL. */}}
{{- define "ocean.storesEnv" -}}
- {name: OCEAN_VAULT_ADDRESS, value: {{ include "ocean.vaultAddress" . | quote }}}
{{- if include "ocean.vaultCa" . }}
- {name: OCEAN_VAULT_CA_FILE, value: /etc/ocean/vault-ca/ca.crt}
{{- end }}
- {name: OCEAN_DATABASE_HOST, value: {{ include "ocean.databaseHost" . | quote }}}
- {name: OCEAN_DATABASE_PORT, value: {{ include "ocean.databasePort" . | quote }}}
{{- if include "ocean.databaseCa" . }}
- {name: OCEAN_DATABASE_CA_FILE, value: /etc/ocean/database-ca/ca.crt}
{{- end }}
{{- end }}

{{- define "ocean.storesVolumes" -}}
- name: vault-token
  projected:
    sources:
      - serviceAccountToken: {audience: ocean-vault, expirationSeconds: 600, path: token}
{{- with include "ocean.vaultCa" . }}
- name: vault-ca
  {{- . | nindent 2 }}
{{- end }}
{{- with include "ocean.databaseCa" . }}
- name: database-ca
  {{- . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "ocean.storesMounts" -}}
- {name: vault-token, mountPath: /var/run/secrets/ocean, readOnly: true}
{{- if include "ocean.vaultCa" . }}
- {name: vault-ca, mountPath: /etc/ocean/vault-ca, readOnly: true}
{{- end }}
{{- if include "ocean.databaseCa" . }}
- {name: database-ca, mountPath: /etc/ocean/database-ca, readOnly: true}
{{- end }}
{{- end }}

{{/* A NetworkPolicy rule. Takes (list "to" peers-as-YAML ports); no peers: anybody on these ports. */}}
{{- define "ocean.allow" -}}
- ports:
    {{- range index . 2 }}
    - {port: {{ . }}, protocol: TCP}
    {{- end }}
  {{- with index . 1 }}
  {{ index $ 0 }}: {{- . | nindent 4 }}
  {{- end }}
{{- end }}

{{/* Egress to the cluster's DNS. */}}
{{- define "ocean.allowDns" -}}
- ports:
    - {port: 53, protocol: UDP}
    - {port: 53, protocol: TCP}
  {{- with .Values.networkPolicy.dnsPeers }}
  to: {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}

{{- define "ocean.apiServerPeers" -}}
{{- with .Values.networkPolicy.apiServer.peers }}{{ toYaml . }}{{ end -}}
{{- end }}

{{/* Egress to Vault and PostgreSQL. */}}
{{- define "ocean.allowStores" -}}
{{ include "ocean.allow" (list "to" (include "ocean.vaultPeers" .) (list (include "ocean.vaultPort" .))) }}
{{ include "ocean.allow" (list "to" (include "ocean.databasePeers" .) (list (include "ocean.databasePort" .))) }}
{{- end }}
