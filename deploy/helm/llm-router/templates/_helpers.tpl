{{- define "llm-router.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end }}

{{/* 52 characters leave room for the suffixes under the 63 of a DNS label. */}}
{{- define "llm-router.fullname" -}}
{{- $name := include "llm-router.name" . -}}
{{- $full := contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) -}}
{{- .Values.fullnameOverride | default $full | trunc 52 | trimSuffix "-" -}}
{{- end }}

{{/* What all objects of the release have in common; those that belong to a component add its label. */}}
{{- define "llm-router.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
app.kubernetes.io/name: {{ include "llm-router.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{/* The component keeps the pod of `helm test` out of the Service. */}}
{{- define "llm-router.selectorLabels" -}}
app.kubernetes.io/name: {{ include "llm-router.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: router
{{- end }}

{{- define "llm-router.testLabels" -}}
app.kubernetes.io/name: {{ include "llm-router.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: test
{{- end }}

{{- define "llm-router.image" -}}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end }}

{{- define "llm-router.serviceAccountName" -}}
{{- $preset := .Values.serviceAccount.create | ternary (include "llm-router.fullname" .) "default" -}}
{{- .Values.serviceAccount.name | default $preset -}}
{{- end }}

{{/* The name of the container port that metrics and probes are on. */}}
{{- define "llm-router.adminPortName" -}}
{{- if .Values.adminPort }}admin{{ else }}http{{ end -}}
{{- end }}

{{/* The ConfigMap with models-config.json; empty: the image's own file is used. */}}
{{- define "llm-router.modelsConfigMap" -}}
{{- if .Values.modelsConfigFrom.name -}}
{{- .Values.modelsConfigFrom.name -}}
{{- else if .Values.modelsConfig -}}
{{- include "llm-router.fullname" . -}}
{{- end -}}
{{- end }}

{{- define "llm-router.modelsConfigText" -}}
{{- kindIs "string" .Values.modelsConfig | ternary .Values.modelsConfig (toPrettyJson .Values.modelsConfig) -}}
{{- end }}

{{- define "llm-router.keysText" -}}
{{- kindIs "string" .Values.auth.keys | ternary .Values.auth.keys (toPrettyJson .Values.auth.keys) -}}
{{- end }}

{{/* Whether there is a keys file; empty: not. */}}
{{- define "llm-router.hasKeysFile" -}}
{{- if and .Values.auth.enabled (or .Values.auth.keys .Values.auth.keysFrom.name) }}yes{{ end -}}
{{- end }}

{{/* The variables that come from Secrets of the user's own. */}}
{{- define "llm-router.secretEnv" -}}
{{- range $name, $from := dict
  "LLM_ROUTER_REDIS_PASSWORD" .Values.redis.passwordFrom
  "LLM_ROUTER_ADMIN_KEY" .Values.auth.adminKeyFrom
  "LLM_ROUTER_SESSION_SECRET" .Values.auth.sessionSecretFrom
  "LLM_ROUTER_DATABASE_URL" .Values.database.urlFrom
  "LLM_ROUTER_OIDC_CLIENT_SECRET" .Values.oidc.clientSecretFrom -}}
{{- if $from.name }}
- name: {{ $name }}
  valueFrom:
    secretKeyRef:
      name: {{ $from.name }}
      key: {{ $from.key }}
{{- end -}}
{{- end -}}
{{- end }}

{{/* The Secret with the keys file. */}}
{{- define "llm-router.keysSecret" -}}
{{- .Values.auth.keysFrom.name | default (printf "%s-keys" (include "llm-router.fullname" .)) -}}
{{- end }}

{{/* How many replicas there may be. */}}
{{- define "llm-router.mostReplicas" -}}
{{- .Values.autoscaling.enabled | ternary .Values.autoscaling.maxReplicas .Values.replicas | int -}}
{{- end }}

{{/* Where Redis is named, as far as the values tell; empty: nowhere. */}}
{{- define "llm-router.redis" -}}
{{- $named := list .Values.redis.host .Values.redis.url (get .Values.env "LLM_ROUTER_REDIS_URL") (get .Values.secret.values "LLM_ROUTER_REDIS_URL") -}}
{{- range .Values.extraEnv }}{{ if has .name (list "LLM_ROUTER_REDIS_URL" "LLM_ROUTER_REDIS_HOST") }}{{ $named = append $named .name }}{{ end }}{{ end -}}
{{- $named | compact | join " " -}}
{{- end }}

{{/* Keys of a ConfigMap have no slash; prompt ids have no dot (values.schema.json), so no two ids meet. */}}
{{- define "llm-router.promptKey" -}}
{{- . | replace "/" "." }}.prompt
{{- end }}

{{/* Of what running pods do not notice: their environment. The router reads its files again by itself. */}}
{{- define "llm-router.checksum" -}}
{{- $all := list .Values.secret.values -}}
{{- if .Values.restartOnConfigChange }}{{ $all = concat $all (list .Values.modelsConfig .Values.prompts .Values.auth.keys) }}{{ end -}}
{{- if or .Values.restartOnConfigChange .Values.secret.values }}{{ $all | toJson | sha256sum }}{{ end -}}
{{- end }}

{{/* Seconds that answers under way have, see `shutdown`; the 20 are for ending the rest of them and the process. */}}
{{- define "llm-router.drainSeconds" -}}
{{- sub (sub .Values.shutdown.gracePeriodSeconds .Values.shutdown.preStopSeconds) 20 -}}
{{- end }}

{{/* The plain variables of the container, those of `env` over the chart's. */}}
{{- define "llm-router.env" -}}
{{- $all := dict
  "LLM_ROUTER_SERVER_TYPE" "single"
  "LLM_ROUTER_SERVER_PORT" .Values.port
  "LLM_ROUTER_DRAIN_TIMEOUT" (include "llm-router.drainSeconds" .)
  "LLM_ROUTER_LOG_FILENAME" ""
  "LLM_ROUTER_LOG_FORMAT" "json" -}}
{{- if .Values.adminPort }}{{ $_ := set $all "LLM_ROUTER_ADMIN_PORT" .Values.adminPort }}{{ end -}}
{{- if .Values.metrics.enabled }}{{ $_ := set $all "LLM_ROUTER_USE_PROMETHEUS" "true" }}{{ end -}}
{{- if .Values.auth.enabled }}{{ $_ := set $all "LLM_ROUTER_AUTH_ENABLED" "true" }}{{ end -}}
{{- if include "llm-router.hasKeysFile" . -}}
{{- $_ := set $all "LLM_ROUTER_AUTH_MEMORY_SEED_FILE" "/etc/llm-router/keys/keys.json" -}}
{{- end -}}
{{- if .Values.database.spoolClaim }}{{ $_ := set $all "LLM_ROUTER_USAGE_SPOOL" "/var/lib/llm-router" }}{{ end -}}
{{- with .Values.publicUrl }}{{ $_ := set $all "LLM_ROUTER_PUBLIC_URL" . }}{{ end -}}
{{- with .Values.oidc -}}
{{- $map := list -}}
{{- range $value, $role := .roleMap }}{{ $map = append $map (printf "%s=%s" $value $role) }}{{ end -}}
{{- range $name, $value := dict "ISSUER" .issuer "CLIENT_ID" .clientId "ROLE_CLAIM" .roleClaim "ROLE_MAP" (join "," $map) "CLIENT_CLAIM" .clientClaim "AUDIENCE" .audience -}}
{{- if $value }}{{ $_ := set $all (printf "LLM_ROUTER_OIDC_%s" $name) $value }}{{ end -}}
{{- end -}}
{{- end -}}
{{- with .Values.trustedProxies }}{{ $_ := set $all "LLM_ROUTER_TRUSTED_PROXIES" (join "," .) }}{{ end -}}
{{- with .Values.basePath }}{{ $_ := set $all "LLM_ROUTER_BASE_PATH" . }}{{ end -}}
{{- if .Values.tracing.endpoint }}{{ $_ := set $all "OTEL_EXPORTER_OTLP_ENDPOINT" .Values.tracing.endpoint }}{{ end -}}
{{- if .Values.redis.url -}}
{{- $_ := set $all "LLM_ROUTER_REDIS_URL" .Values.redis.url -}}
{{- else if .Values.redis.host -}}
{{- $_ := set $all "LLM_ROUTER_REDIS_HOST" .Values.redis.host -}}
{{- $_ := set $all "LLM_ROUTER_REDIS_PORT" .Values.redis.port -}}
{{- end -}}
{{- if and (not (include "llm-router.redis" .)) (gt (include "llm-router.mostReplicas" . | int) 1) -}}
{{- $_ := set $all "LLM_ROUTER_REPLICAS" (include "llm-router.mostReplicas" . | int) -}}
{{- end -}}
{{- if include "llm-router.modelsConfigMap" . -}}
{{- $_ := set $all "LLM_ROUTER_MODELS_CONFIG" "/etc/llm-router/config/models-config.json" -}}
{{- end -}}
{{- if .Values.prompts }}{{ $_ := set $all "LLM_ROUTER_PROMPTS_DIR" "/etc/llm-router/prompts" }}{{ end -}}
{{- range $name, $value := .Values.env }}{{ $_ := set $all $name $value }}{{ end -}}
{{- range $name, $value := $all }}
- name: {{ $name }}
  {{- /* toJson: Helm reads numbers as floats and would write 33554432 as 3.3554432e+07 */}}
  value: {{ kindIs "string" $value | ternary $value (toJson $value) | quote }}
{{- end }}
{{- end }}

{{/* A probe of the container from its values: dict "probe" ... "root" $ */}}
{{- define "llm-router.probe" -}}
httpGet:
  path: {{ .probe.path }}
  port: {{ include "llm-router.adminPortName" .root }}
{{ toYaml (omit .probe "path") }}
{{- end }}
