{{- define "pixverse.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "pixverse.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "pixverse.labels" -}}
{{ include "pixverse.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "pixverse.image" -}}
{{- with .Values.image }}
{{- if .digest }}{{ .repository }}@{{ .digest }}
{{- else }}{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end }}
{{- end }}

{{- define "pixverse.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}{{ .Values.serviceAccount.name | default (include "pixverse.name" .) }}
{{- else }}{{ .Values.serviceAccount.name | default "default" }}{{ end }}
{{- end }}

{{- /* Settings, in the order of their names; secrets by file. */ -}}
{{- define "pixverse.env" -}}
{{- range $name, $value := .Values.settings }}
- {name: {{ $name }}, value: {{ $value | quote }}}
{{- end }}
- {name: DATABASE_URL_FILE, value: /run/secrets/pixverse/{{ .Values.secrets.databaseUrl }}}
{{- range $name, $key := .Values.secrets.settings }}
- {name: {{ $name }}_FILE, value: /run/secrets/pixverse/{{ $key }}}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "pixverse.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
{{- if .Values.videos.existingClaim }}
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
{{- end }}
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "pixverse.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- /* Where pods go, and what pulls their image. */ -}}
{{- define "pixverse.placing" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end }}

{{- define "pixverse.mounts" -}}
- {name: secrets, mountPath: /run/secrets/pixverse, readOnly: true}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "pixverse.volumes" -}}
- name: secrets
  secret: {secretName: {{ .Values.secrets.existingSecret }}, defaultMode: 0440}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* What values can't say by themselves. */ -}}
{{- define "pixverse.judge" -}}
{{- $page := .Files.Get "SETTINGS.md" }}
{{- range $part := list .Values.settings .Values.secrets.settings }}
{{- range $name, $_ := $part }}
{{- if not (or (regexMatch "^(KAFKA_CONF|AWS|OTEL)_" $name) (contains (printf "\n| `%s` |" $name) $page)) }}
{{- fail (printf "settings.%s: no setting of the worker has this name; deploy/SETTINGS.md has them all, and extraEnv takes other variables" $name) }}
{{- end }}
{{- end }}
{{- end }}
{{- if and .Values.autoscaling.enabled .Values.keda.enabled }}
{{- fail "autoscaling.enabled and keda.enabled: only one of them can say how many workers there are" }}
{{- end }}
{{- $drain := .Values.settings.DRAIN_MS | default "55000" | int }}
{{- if le (mul .Values.terminationGracePeriodSeconds 1000 | int) $drain }}
{{- fail (printf "terminationGracePeriodSeconds %d: must be more than settings.DRAIN_MS, which is %d ms" (int .Values.terminationGracePeriodSeconds) $drain) }}
{{- end }}
{{- if and (hasPrefix "file://" (.Values.settings.STORAGE_URL | default "file://")) (not .Values.videos.existingClaim) (not .Values.extraVolumeMounts) }}
{{- fail "settings.STORAGE_URL is a folder: name the claim that all workers share, videos.existingClaim" }}
{{- end }}
{{- $listen := .Values.settings.ADMIN_LISTEN | default ":9464" }}
{{- if not (hasSuffix ":9464" $listen) }}
{{- fail (printf "settings.ADMIN_LISTEN %s: its port must be 9464, which probes and Services ask" $listen) }}
{{- end }}
{{- if and .Values.console.ingress.enabled (not .Values.console.hosts) }}
{{- fail "console.ingress.enabled: name the hosts under which it is reached, console.hosts" }}
{{- end }}
{{- end }}
