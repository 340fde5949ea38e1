{{- /* Combinations of values that no schema refuses. Each message names the value and the remedy. */ -}}
{{- define "ich.checks" -}}
{{- $values := .Values -}}
{{- $objects := ne $values.jobs.url "" -}}
{{- if and (gt (int $values.gateway.replicas) 1) (not $objects) -}}
{{- fail (printf "gateway.replicas is %d, but several gateways need an object storage: set jobs.url, such as s3://bucket/ich, or gateway.replicas=1" (int $values.gateway.replicas)) -}}
{{- end -}}
{{- $ours := "the chart sets it" -}}
{{- $all := dict "DRAIN_S" "set drainSeconds" "SHARED_MEMORY_DIR" "pods share no memory" -}}
{{- $bundle := "set bundle.image or bundle.existingClaim" -}}
{{- $derived := dict
  "gateway" (dict
    "HOST" $ours "PUBLISHED_HOST" $ours "HOSTS" "set gateway.hosts, ingress.hosts or gatewayApi.hosts"
    "JOBS_URL" "set jobs.url" "JOBS_DIR" $ours "SPOOL_DIR" $ours
    "REDIS_URL" "set redis.external.url" "REDIS_PASSWORD_FILE" "set redis.existingSecret or redis.external.existingSecret"
    "PREPROCESS_URL" $ours "CNN_URL" $ours "RNN_URL" $ours)
  "preprocess" dict
  "cnn" (dict "BUNDLE" $bundle "DEVICE" "set cnn.gpu.enabled")
  "rnn" (dict "BUNDLE" $bundle)
  "dicomNode" (dict
    "HOST" $ours "PUBLISHED_HOST" $ours "DATA_DIR" $ours "GATEWAY_URL" $ours "DICOM_HOST" $ours "DICOM_PUBLISHED_HOST" $ours
    "DICOM_PORT" "set dicomNode.service.port" "TLS_CERTIFICATE_FILE" "set dicomNode.tlsSecret"
    "TLS_KEY_FILE" "set dicomNode.tlsSecret" "TLS_CA_FILE" "set dicomNode.tlsSecret") -}}
{{- range $service, $names := $derived -}}
{{- range $name, $_ := (index $values $service).settings -}}
{{- with coalesce (get $names $name) (get $all $name) -}}
{{- fail (printf "%s.settings.%s must not be set: %s" $service $name .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and (or $values.ingress.enabled $values.gatewayApi.enabled) (not (include "ich.gatewayAsksWho" .)) -}}
{{- fail "ingress and gatewayApi let other machines reach the gateway, but nobody must say who they are: name a file of keys in gateway.settings.SENDERS_FILE with gateway.siteSecret, or set gateway.settings.OIDC_ISSUER" -}}
{{- end -}}
{{- if and (ne $values.gateway.service.type "ClusterIP") (not (include "ich.gatewayAsksWho" .)) -}}
{{- fail (printf "gateway.service.type is %s, but nobody must say who they are: set gateway.settings.SENDERS_FILE or OIDC_ISSUER, or the type ClusterIP" $values.gateway.service.type) -}}
{{- end -}}
{{- if and (ne $values.gateway.service.type "ClusterIP") $values.networkPolicy.enabled (not $values.networkPolicy.clients) -}}
{{- fail (printf "gateway.service.type is %s, but networkPolicy.clients is empty: list the networks of clients, such as {ipBlock: {cidr: 10.0.0.0/8}}" $values.gateway.service.type) -}}
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
