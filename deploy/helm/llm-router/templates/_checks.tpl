{{/* Rejects combinations of values that are valid individually but not together. */}}
{{- define "llm-router.checks" -}}
{{- $values := .Values -}}
{{- if lt (include "llm-router.drainSeconds" . | int) 1 -}}
{{- fail "shutdown: gracePeriodSeconds must be greater than preStopSeconds + 20, or running responses have no time to finish" -}}
{{- end -}}
{{- if and $values.modelsConfig $values.modelsConfigFrom.name -}}
{{- fail "modelsConfig and modelsConfigFrom.name: set only one of them" -}}
{{- end -}}
{{- if $values.modelsConfig -}}
{{- $config := include "llm-router.modelsConfigText" . | fromJson -}}
{{- if not (or (kindIs "map" $config.active_models) (kindIs "slice" $config.servers)) -}}
{{- fail "modelsConfig: not a models-config.json: it is not JSON, or has neither an object active_models nor a list servers" -}}
{{- end -}}
{{- range $config.servers -}}
{{- if .kubernetes -}}
{{- if not (has .kubernetes.namespace $values.discovery.namespaces) -}}
{{- fail (printf "discovery.namespaces: the server %s in modelsConfig needs the namespace %s" .id .kubernetes.namespace) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if eq (int $values.port) (int $values.adminPort) -}}
{{- fail "adminPort: the same as port; 0 means the same port" -}}
{{- end -}}
{{- with $values.auth -}}
{{- if and .enabled (not .keys) (not .keysFrom.name) (not $values.database.urlFrom.name) -}}
{{- fail "auth.enabled: name the Secret with the keys file in auth.keysFrom.name, or the Secret with the database URL in database.urlFrom.name" -}}
{{- end -}}
{{- if and .keys .keysFrom.name -}}
{{- fail "auth.keys and auth.keysFrom.name: set only one of them" -}}
{{- end -}}
{{- if and (or .keys .keysFrom.name) (not .enabled) -}}
{{- fail "auth.keys has no effect without auth.enabled: requests would not be authenticated" -}}
{{- end -}}
{{- end -}}
{{- if and $values.auth.enabled $values.metrics.serviceMonitor.enabled (not $values.adminPort) (not $values.metrics.serviceMonitor.keyFrom.name) -}}
{{- fail "metrics.serviceMonitor: with auth.enabled, /metrics requires a key; set adminPort, which requires none, or metrics.serviceMonitor.keyFrom.name" -}}
{{- end -}}
{{- if and $values.auth.enabled $values.test.model (not $values.test.keyFrom.name) -}}
{{- fail "test.model: with auth.enabled the test needs a key; name its Secret in test.keyFrom.name" -}}
{{- end -}}
{{- $elsewhere := $values.secret.existing -}}
{{- range $values.extraEnv }}{{ if eq .name "LLM_ROUTER_SESSION_SECRET" }}{{ $elsewhere = .name }}{{ end }}{{ end -}}
{{- $sessions := or $values.auth.sessionSecretFrom.name (get $values.secret.values "LLM_ROUTER_SESSION_SECRET") $elsewhere -}}
{{- if $values.database.urlFrom.name -}}
{{- if not $values.auth.enabled -}}
{{- fail "database.urlFrom has no effect without auth.enabled: requests would not be authenticated" -}}
{{- end -}}
{{- if not $sessions -}}
{{- fail "database.urlFrom: name the Secret with the session secret in auth.sessionSecretFrom.name" -}}
{{- end -}}
{{- end -}}
{{- with $values.oidc -}}
{{- if and .issuer (or (not .clientId) (not .roleMap) (not $values.publicUrl)) -}}
{{- fail "oidc.issuer: set oidc.clientId, oidc.roleMap and publicUrl too" -}}
{{- end -}}
{{- if and .issuer (not $sessions) (gt (include "llm-router.mostReplicas" $ | int) 1) -}}
{{- fail "oidc.issuer: name the Secret with the session secret in auth.sessionSecretFrom.name; otherwise replicas would not accept each other's sessions" -}}
{{- end -}}
{{- end -}}
{{- with $values.autoscaling -}}
{{- if and .enabled (not .cpuUtilization) (not .inFlight.average) -}}
{{- fail "autoscaling: set cpuUtilization or inFlight.average, which it scales by" -}}
{{- end -}}
{{- if and .enabled .cpuUtilization (not (dig "requests" "cpu" "" $values.resources)) -}}
{{- fail "autoscaling.cpuUtilization is a share of resources.requests.cpu, which is not set" -}}
{{- end -}}
{{- if and .enabled (gt (int .minReplicas) (int .maxReplicas)) -}}
{{- fail "autoscaling: minReplicas is greater than maxReplicas" -}}
{{- end -}}
{{- end -}}
{{- if and $values.ingress.enabled (not $values.ingress.hosts) -}}
{{- fail "ingress.hosts: empty" -}}
{{- end -}}
{{- if and $values.httpRoute.enabled (not $values.httpRoute.parentRefs) -}}
{{- fail "httpRoute.parentRefs: empty; it names the Gateway" -}}
{{- end -}}
{{- if and $values.metrics.serviceMonitor.enabled (not $values.metrics.enabled) -}}
{{- fail "metrics.serviceMonitor needs metrics.enabled: there would be nothing to scrape" -}}
{{- end -}}
{{- end }}
