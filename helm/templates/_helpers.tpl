{{/* The name of everything in the release: the release's own, with the chart's unless it is already in there. */}}
{{- define "worker.name" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 53 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 53 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{/* What the Deployment and the Service select by. Never to change: Kubernetes refuses it. */}}
{{- define "worker.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{- define "worker.labels" -}}
{{ include "worker.selector" . }}
app.kubernetes.io/version: {{ .Values.image.tag | default .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "worker.secret" -}}
{{- if and .Values.secret .Values.existingSecret -}}
{{- fail "Both secret and existingSecret are given: keep the one that holds the credentials." -}}
{{- end -}}
{{- if not (or .Values.secret .Values.existingSecret) -}}
{{- fail "No credentials: set existingSecret to the name of a Secret with the key CLOUDFLARE_API_TOKEN, or give secret.CLOUDFLARE_API_TOKEN." -}}
{{- end -}}
{{- .Values.existingSecret | default (include "worker.name" .) -}}
{{- end }}

{{- define "worker.rules" -}}
{{- if and .Values.rules .Values.existingConfigMap -}}
{{- fail "Both rules and existingConfigMap are given: keep the one that holds the rule files." -}}
{{- end -}}
{{- if .Values.rules -}}{{ include "worker.name" . }}-rules{{- else -}}{{ .Values.existingConfigMap }}{{- end -}}
{{- end }}
