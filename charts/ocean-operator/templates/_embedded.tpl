{{/*
What the embedded servers share. Random values are made once: an upgrade finds them in the cluster (`lookup`). Whatever
renders without a cluster, as `helm template` and Argo CD do, makes new ones each time and must not be applied twice.
*/}}

{{/* The Secret of this name as it stands in the cluster, or nothing. Takes (list $ name). */}}
{{- define "ocean.oldData" -}}
{{- $old := lookup "v1" "Secret" (index . 0).Release.Namespace (index . 1) -}}
{{- with $old -}}{{ .data | toJson }}{{- end -}}
{{- end }}

{{/* Head of a Secret that outlives the release as the server's volume does. Takes (list $ part name). */}}
{{- define "ocean.keptSecret" -}}
{{- $ := index . 0 -}}
apiVersion: v1
kind: Secret
metadata:
  name: {{ index . 2 }}
  namespace: {{ $.Release.Namespace }}
  labels: {{- include "ocean.labels" (list $ (index . 1)) | nindent 4 }}
  annotations:
    helm.sh/resource-policy: keep
{{- end }}

{{/* Secret with a server's certificate; its authority's key is thrown away. Takes (list $ "ocean-openbao"). */}}
{{- define "ocean.tlsSecret" -}}
{{- $ := index . 0 -}}
{{- $name := index . 1 -}}
{{ include "ocean.keptSecret" (list $ $name (printf "%s-tls" $name)) }}
type: Opaque
data:
{{- with include "ocean.oldData" (list $ (printf "%s-tls" $name)) }}
  {{- . | fromJson | toYaml | nindent 2 }}
{{- else }}
  {{- $host := printf "%s.%s.svc" $name $.Release.Namespace }}
  {{- $ca := genCA (printf "%s-ca" $name) 3650 }}
  {{- $pair := genSignedCert $name (list "127.0.0.1") (list $name $host (printf "%s.cluster.local" $host) "localhost") 3650 $ca }}
  ca.crt: {{ $ca.Cert | b64enc }}
  tls.crt: {{ $pair.Cert | b64enc }}
  tls.key: {{ $pair.Key | b64enc }}
{{- end }}
{{- end }}

{{/* The claim or the passing folder for a server's data. Takes (list $ embedded "ocean-openbao"). */}}
{{- define "ocean.claim" -}}
{{- $persistence := (index . 1).persistence -}}
- metadata:
    name: data
    labels: {{- include "ocean.selector" (list (index . 0) (index . 2)) | nindent 6 }}
  spec:
    accessModes: [ReadWriteOnce]
    {{- with $persistence.storageClassName }}
    storageClassName: {{ . }}
    {{- end }}
    resources: {requests: {storage: {{ $persistence.size }}}}
{{- end }}
