{{- define "aidr.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 52 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 52 | trimSuffix "-" }}{{ end }}
{{- end }}
{{- define "aidr.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}
{{- define "aidr.labels" -}}
{{ include "aidr.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}
{{- define "aidr.account" -}}
{{- if .Values.serviceAccount.create }}{{ default (include "aidr.name" .) .Values.serviceAccount.name }}{{ else }}{{ default "default" .Values.serviceAccount.name }}{{ end }}
{{- end }}
{{- /* The configuration with the keys that the chart sets. */ -}}
{{- define "aidr.config" -}}
{{- $state := merge (dict "dir" "/var/lib/aidr") (default (dict) .Values.config.state) }}
{{- $config := merge (dict "state" $state "http" (dict "listen" "0.0.0.0:8471")) .Values.config }}
{{- toYaml $config }}
{{- end }}
