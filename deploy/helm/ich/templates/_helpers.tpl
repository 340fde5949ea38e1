{{- define "ich.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* Labels that select the pods of one release, or of a component of it: (list $ component). */ -}}
{{- define "ich.releaseSelector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "ich.selector" -}}
{{- include "ich.releaseSelector" (index . 0) }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{- define "ich.labels" -}}
{{- include "ich.selector" . }}
app.kubernetes.io/version: {{ (index . 0).Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ (index . 0).Release.Service }}
helm.sh/chart: {{ printf "%s-%s" (index . 0).Chart.Name (index . 0).Chart.Version | replace "+" "_" }}
{{- end -}}

{{- /* The metadata of an object of a component: (list $ component), and its name where it is another one. */ -}}
{{- define "ich.metadata" -}}
name: {{ include "ich.fullname" (index . 0) }}-{{ index . 1 }}
labels:
  {{- include "ich.labels" . | nindent 2 }}
{{- end -}}

{{- define "ich.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "ich.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- /* The name of an image of the project: (list $ image), the name of its repository. */ -}}
{{- define "ich.image" -}}
{{- $root := index . 0 -}}
{{- $image := index . 1 -}}
{{- $registry := ternary (printf "%s/" $root.Values.image.registry) "" (ne $root.Values.image.registry "") -}}
{{- $tag := coalesce $image.tag $root.Values.image.tag $root.Chart.AppVersion -}}
{{- printf "%s%s" $registry $image.repository -}}
{{- if $image.digest }}@{{ $image.digest }}{{ else }}:{{ $tag }}{{ end -}}
{{- end -}}

{{- define "ich.cnnImage" -}}
{{- $repository := default (ternary "ich-cnn-gpu" "ich-cnn" .Values.cnn.gpu.enabled) .Values.cnn.image.repository -}}
{{- include "ich.image" (list . (merge (dict "repository" $repository) .Values.cnn.image)) -}}
{{- end -}}

{{- /* Environment variables: (list prefix settings). Other values than texts are written as JSON. */ -}}
{{- define "ich.settings" -}}
{{- $prefix := index . 0 -}}
{{- range $name, $value := index . 1 }}
- name: {{ $prefix }}{{ $name }}
  value: {{ ternary $value (toJson $value) (kindIs "string" $value) | quote }}
{{- end -}}
{{- end -}}

{{- /* Labels of pods have no version, so that an upgrade replaces only pods that differ. */ -}}
{{- define "ich.podMetadata" -}}
labels:
  {{- include "ich.selector" . | nindent 2 }}
  {{- with (index . 0).Values.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with (index . 0).Values.podAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "ich.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ . }}
runAsGroup: {{ . }}
fsGroup: {{ . }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "ich.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{- /* What all pods share: (list $ component service), service with nodeSelector and tolerations.
enableServiceLinks is off: the variables of a Service `ich-gateway` would be taken for settings, and stop the start. */ -}}
{{- define "ich.pod" -}}
{{- $root := index . 0 -}}
{{- $component := index . 1 -}}
{{- $service := index . 2 -}}
serviceAccountName: {{ include "ich.serviceAccountName" $root }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with $root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with $root.Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $service.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $service.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
topologySpreadConstraints:
  {{- range $key := list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - maxSkew: 1
    topologyKey: {{ $key }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "ich.selector" (list $root $component) | nindent 8 }}
  {{- end }}
{{- end -}}

{{- /* Probes of HTTP: the path of readiness. A start may take five minutes: a GPU, or a large bundle. */ -}}
{{- define "ich.probes" -}}
startupProbe:
  httpGet: {path: /livez, port: http}
  periodSeconds: 5
  failureThreshold: 60
livenessProbe:
  httpGet: {path: /livez, port: http}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: {path: {{ . }}, port: http}
  periodSeconds: 5
  timeoutSeconds: 5
{{- end -}}

{{- define "ich.env" -}}
{{- include "ich.settings" (list "" .Values.env) -}}
{{- end -}}

{{- /* Seconds of a shutdown: drain, requests in progress (55 s in the images), and the rest. */ -}}
{{- define "ich.graceSeconds" -}}
{{- add (int .Values.drainSeconds) 60 -}}
{{- end -}}

{{- define "ich.redisUrl" -}}
{{- if .Values.redis.enabled -}}
redis://{{ include "ich.fullname" . }}-redis:6379/0
{{- else -}}
{{- .Values.redis.external.url -}}
{{- end -}}
{{- end -}}

{{- /* The Secret with the key `password`; empty where Redis asks for none. */ -}}
{{- define "ich.redisSecret" -}}
{{- if .Values.redis.enabled -}}
{{- default (printf "%s-redis" (include "ich.fullname" .)) .Values.redis.existingSecret -}}
{{- else -}}
{{- .Values.redis.external.existingSecret -}}
{{- end -}}
{{- end -}}

{{- define "ich.jobsClaim" -}}
{{- default (printf "%s-jobs" (include "ich.fullname" .)) .Values.jobs.persistence.existingClaim -}}
{{- end -}}

{{- /* Whether senders must say who they are: by a key, a token or a header of a proxy. */ -}}
{{- define "ich.gatewayAsksWho" -}}
{{- $settings := .Values.gateway.settings -}}
{{- if or $settings.SENDERS_FILE $settings.OIDC_ISSUER $settings.IDENTITY_HEADER }}true{{ end -}}
{{- end -}}

{{- define "ich.hosts" -}}
{{- $names := list (printf "%s-gateway" (include "ich.fullname" .)) (printf "%s-gateway.%s" (include "ich.fullname" .) .Release.Namespace) (printf "%s-gateway.%s.svc" (include "ich.fullname" .) .Release.Namespace) -}}
{{- $names = concat $names .Values.gateway.hosts -}}
{{- if .Values.ingress.enabled }}{{ $names = concat $names .Values.ingress.hosts }}{{ end -}}
{{- if .Values.gatewayApi.enabled }}{{ $names = concat $names .Values.gatewayApi.hosts }}{{ end -}}
{{- uniq $names | toJson -}}
{{- end -}}

{{- /* Settings that the gateway and its workers share, with those of the site. */ -}}
{{- define "ich.gatewaySettings" -}}
{{- $name := include "ich.fullname" . -}}
{{- $ours := dict
  "PREPROCESS_URL" (printf "http://%s-preprocess:8000" $name)
  "CNN_URL" (printf "http://%s-cnn:8000" $name)
  "RNN_URL" (printf "http://%s-rnn:8000" $name)
  "REDIS_URL" (include "ich.redisUrl" .)
  "JOBS_DIR" (ternary "/work/jobs" "/jobs/jobs" (ne .Values.jobs.url ""))
  "SPOOL_DIR" "/work/spool" -}}
{{- if include "ich.redisSecret" . }}{{ $_ := set $ours "REDIS_PASSWORD_FILE" "/redis/password" }}{{ end -}}
{{- if .Values.jobs.url }}{{ $_ := set $ours "JOBS_URL" .Values.jobs.url }}{{ end -}}
{{- merge $ours .Values.gateway.settings | toYaml -}}
{{- end -}}

{{- /* Environment of jobs: settings, the object storage's variables, and its credentials. */ -}}
{{- define "ich.jobsEnvironment" -}}
{{- with .Values.jobs.existingSecret }}
envFrom:
  - secretRef: {name: {{ . }}}
{{- end }}
{{- end -}}

{{- define "ich.jobsMounts" -}}
- {name: tmp, mountPath: /tmp}
- {name: work, mountPath: /work}
{{- if not .Values.jobs.url }}
- {name: jobs, mountPath: /jobs}
{{- end }}
{{- if include "ich.redisSecret" . }}
- {name: redis, mountPath: /redis, readOnly: true}
{{- end }}
{{- if .Values.gateway.siteSecret }}
- {name: site, mountPath: /site, readOnly: true}
{{- end }}
{{- end -}}

{{- /* Volumes of gateways and workers: (list $ size of /work). 288 is 0440: for root, and the group of the service. */ -}}
{{- define "ich.jobsVolumes" -}}
{{- $root := index . 0 -}}
- name: tmp
  emptyDir: {medium: Memory, sizeLimit: 64Mi}
- name: work
  emptyDir: {sizeLimit: {{ index . 1 }}}
{{- if not $root.Values.jobs.url }}
- name: jobs
  persistentVolumeClaim: {claimName: {{ include "ich.jobsClaim" $root }}}
{{- end }}
{{- with include "ich.redisSecret" $root }}
- name: redis
  secret: {secretName: {{ . }}, defaultMode: 288, items: [{key: password, path: password}]}
{{- end }}
{{- with $root.Values.gateway.siteSecret }}
- name: site
  secret: {secretName: {{ . }}, defaultMode: 288}
{{- end }}
{{- end -}}
