{{- /* Combinations of values that no schema refuses. Each message names the value and the remedy. */ -}}
{{- define "ich.checks" -}}
{{- $values := .Values -}}
{{- $objects := ne $values.jobs.url "" -}}
{{- if and (gt (int $values.gateway.replicas) 1) (not $objects) -}}
{{- fail (printf "gateway.replicas is %d, but several gateways need an object storage: set jobs.url, such as s3://bucket/ich, or gateway.replicas=1" (int $values.gateway.replicas)) -}}
{{- end -}}
{{- $derived := dict
  "HOST" "the chart sets it" "PUBLISHED_HOST" "the chart sets it"
  "JOBS_URL" "set jobs.url" "JOBS_DIR" "the chart sets it" "SPOOL_DIR" "the chart sets it"
  "REDIS_URL" "set redis.external.url" "REDIS_PASSWORD_FILE" "set redis.existingSecret or redis.external.existingSecret"
  "PREPROCESS_URL" "the chart sets it" "CNN_URL" "the chart sets it" "RNN_URL" "the chart sets it"
  "SHARED_MEMORY_DIR" "pods share no memory" "DRAIN_S" "set drainSeconds" "HOSTS" "set ingress.hosts or gatewayApi.hosts"
  "BUNDLE" "set bundle.image or bundle.existingClaim" "DATA_DIR" "the chart sets it" "DICOM_HOST" "the chart sets it"
  "DICOM_PORT" "set dicomNode.service.port" "GATEWAY_URL" "the chart sets it" "DEVICE" "set cnn.gpu.enabled"
  "TLS_CERTIFICATE_FILE" "set dicomNode.tlsSecret" "TLS_KEY_FILE" "set dicomNode.tlsSecret" "TLS_CA_FILE" "set dicomNode.tlsSecret" -}}
{{- range $service := list "gateway" "preprocess" "cnn" "rnn" "dicomNode" -}}
{{- range $name, $_ := (index $values $service).settings -}}
{{- if hasKey $derived $name -}}
{{- fail (printf "%s.settings.%s must not be set: %s" $service $name (get $derived $name)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and (or $values.ingress.enabled $values.gatewayApi.enabled) (not (include "ich.gatewayAsksWho" .)) -}}
{{- fail "ingress and gatewayApi let other machines reach the gateway, but nobody must say who they are: name a file of keys in gateway.settings.SENDERS_FILE with gateway.siteSecret, or set gateway.settings.OIDC_ISSUER" -}}
{{- end -}}
{{- if and (ne $values.gateway.service.type "ClusterIP") (not (include "ich.gatewayAsksWho" .)) -}}
{{- fail (printf "gateway.service.type is %s, but nobody must say who they are: set gateway.settings.SENDERS_FILE or OIDC_ISSUER, or the type ClusterIP" $values.gateway.service.type) -}}
{{- end -}}
{{- range $name := list "ingress" "gatewayApi" -}}
{{- $entry := index $values $name -}}
{{- if and $entry.enabled (not $entry.hosts) -}}
{{- fail (printf "%s.hosts is empty: list the names by which clients reach the gateway, which answers others with 421" $name) -}}
{{- end -}}
{{- if and $entry.enabled $values.networkPolicy.enabled (not $values.networkPolicy.clients) -}}
{{- fail (printf "%s.enabled is set, but networkPolicy.clients is empty: list the pods of the ingress controller, such as {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: ingress-nginx}}}" $name) -}}
{{- end -}}
{{- end -}}
{{- if and $values.ingress.enabled (not $values.ingress.tlsSecret) -}}
{{- fail "ingress.tlsSecret is empty: name the Secret of the certificate, since keys and images must not travel in clear" -}}
{{- end -}}
{{- if and $values.gatewayApi.enabled (not $values.gatewayApi.gateway.create) (not $values.gatewayApi.parentRefs) -}}
{{- fail "gatewayApi.parentRefs is empty: name the Gateway and its HTTPS listener, or set gatewayApi.gateway.create" -}}
{{- end -}}
{{- if and $values.gatewayApi.gateway.create (not (and $values.gatewayApi.gateway.className $values.gatewayApi.gateway.tlsSecret)) -}}
{{- fail "gatewayApi.gateway.create is set: set gatewayApi.gateway.className and gatewayApi.gateway.tlsSecret, too" -}}
{{- end -}}
{{- if and (not $values.redis.enabled) (not $values.redis.external.url) -}}
{{- fail "redis.enabled is false: set redis.external.url, such as rediss://redis.example.org:6379/0" -}}
{{- end -}}
{{- if and $values.redis.enabled $values.redis.external.url -}}
{{- fail "redis.external.url is set: set redis.enabled=false, too, or leave the URL out" -}}
{{- end -}}
{{- if $values.networkPolicy.enabled -}}
{{- if and (not $values.networkPolicy.jobsEgress) (or $objects (not $values.redis.enabled)) -}}
{{- fail "networkPolicy.jobsEgress is empty: list the addresses and ports of the object storage and of the external Redis, or gateways and workers cannot reach them" -}}
{{- end -}}
{{- if and $values.gateway.settings.OIDC_ISSUER (not $values.networkPolicy.gatewayEgress) -}}
{{- fail "networkPolicy.gatewayEgress is empty: list address and port of gateway.settings.OIDC_ISSUER, whose keys the gateway fetches" -}}
{{- end -}}
{{- end -}}
{{- if $values.dicomNode.enabled -}}
{{- if not $values.dicomNode.settings.CALLING_AE_TITLES -}}
{{- fail "dicomNode.settings.CALLING_AE_TITLES is empty: list the AE titles that may send" -}}
{{- end -}}
{{- if not $values.dicomNode.allowedCidrs -}}
{{- fail "dicomNode.allowedCidrs is empty: list the networks of the modalities and of the PACS, such as 10.20.0.0/16" -}}
{{- end -}}
{{- if and (include "ich.gatewayAsksWho" .) (not $values.dicomNode.settings.GATEWAY_KEY_FILE) -}}
{{- fail "the gateway asks for keys: name the file of the DICOM node's key in dicomNode.settings.GATEWAY_KEY_FILE, with dicomNode.siteSecret" -}}
{{- end -}}
{{- end -}}
{{- if and $values.keda.enabled (not $values.monitoring.serviceMonitor.enabled) -}}
{{- fail "keda.enabled is set: set monitoring.serviceMonitor.enabled, too, whose labels the queries of KEDA name" -}}
{{- end -}}
{{- range $name := list "worker" "workerUrgent" "cnn" -}}
{{- $scale := index $values.keda $name -}}
{{- if gt (int $scale.minReplicas) (int $scale.maxReplicas) -}}
{{- fail (printf "keda.%s.minReplicas is %d, more than maxReplicas, %d" $name (int $scale.minReplicas) (int $scale.maxReplicas)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
