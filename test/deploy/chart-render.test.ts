import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { loadClientKeys } from '../../src/config/client-keys/load.ts'
import { loadModels } from '../../src/config/models/load.ts'
import { readPromptTree } from '../../src/config/prompt-tree.ts'
import { loadConfig } from '../../src/config/settings/settings.ts'
import { readTracing } from '../../src/config/settings/tracing.ts'
import { ollama } from '../../src/providers/ollama.ts'
import { openai } from '../../src/providers/openai.ts'
import { vllm } from '../../src/providers/vllm.ts'
import type { ProviderType } from '../../src/sdk/provider.ts'
import { Registry } from '../../src/sdk/registry.ts'
import { chartDir, examples, missing, type Rendering, readYaml, render, selects } from './chart.ts'

describe('the rendered chart', { skip: missing('helm') }, () => {
  const rendered = new Map<string, Rendering>()
  const of = (name: string): Rendering => {
    const rendering = rendered.get(name)
    assert.ok(rendering, name)
    return rendering
  }
  const folder = mkdtempSync(join(tmpdir(), 'llm-router-chart-'))
  after(() => rmSync(folder, { recursive: true }))
  before(() => {
    rendered.set('defaults', render())
    for (const [name, path] of examples) rendered.set(name.replace('-values.yaml', ''), render('-f', path))
  })

  test('optional objects are rendered only if enabled', () => {
    assert.deepEqual(of('defaults').kinds(), ['Deployment', 'Pod', 'Service', 'ServiceAccount'])
    assert.deepEqual(of('gpus').kinds(), [
      'ConfigMap',
      'ConfigMap',
      'Deployment',
      'NetworkPolicy',
      'Pod',
      'PodDisruptionBudget',
      'Service',
      'ServiceAccount',
    ])
    assert.deepEqual(of('public').kinds(), [
      'Deployment',
      'HTTPRoute',
      'HorizontalPodAutoscaler',
      'Ingress',
      'Pod',
      'Secret',
      'Service',
      'ServiceAccount',
    ])
    assert.deepEqual(of('openshift').kinds(), [
      'Deployment',
      'Pod',
      'Route',
      'Secret',
      'Service',
      'ServiceAccount',
    ])
    assert.deepEqual(of('teams').kinds(), ['Deployment', 'NetworkPolicy', 'Pod', 'Service', 'ServiceAccount'])
    assert.deepEqual(of('monitored').kinds(), [
      'ConfigMap',
      'Deployment',
      'NetworkPolicy',
      'Pod',
      'PrometheusRule',
      'Service',
      'Service',
      'ServiceMonitor',
    ])
  })

  test('the service account may watch the discovery namespaces, and its token is mounted only for that', () => {
    const rendering = render('--set', 'discovery.namespaces={models,more}')
    const added = ['Role', 'Role', 'RoleBinding', 'RoleBinding']
    assert.deepEqual(rendering.kinds(), [...of('defaults').kinds(), ...added].sort())
    const roles = rendering.all.filter(({ kind }) => kind.startsWith('Role'))
    assert.deepEqual(new Set(roles.map(({ metadata }) => metadata.namespace)), new Set(['models', 'more']))
    assert.equal(rendering.the('Deployment').spec.template.spec.automountServiceAccountToken, true)
    assert.equal(of('defaults').the('Deployment').spec.template.spec.automountServiceAccountToken, false)
  })

  test('every object has the namespace, labels and a unique name that is a valid DNS label', () => {
    const long = render('--set', `fullnameOverride=${'a-'.repeat(40)}`, '-f', monitored())
    for (const rendering of [...rendered.values(), long]) {
      const names = rendering.all.map(({ kind, metadata }) => `${kind}/${metadata.name}`)
      assert.equal(new Set(names).size, names.length, names.join())
      for (const { kind, metadata } of rendering.all) {
        assert.equal(metadata.namespace, 'llm', kind)
        assert.equal(metadata.labels['app.kubernetes.io/instance'], 'prod', kind)
        assert.match(metadata.name, /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/)
      }
    }
  })

  test("every selector matches the router's pods and never the helm test pod", () => {
    for (const rendering of rendered.values()) {
      const { spec } = rendering.the('Deployment')
      const selectors = [
        spec.selector.matchLabels,
        ...rendering.every('Service').map((service) => service.spec.selector),
        ...rendering.every('PodDisruptionBudget').map((budget) => budget.spec.selector.matchLabels),
        ...rendering.every('NetworkPolicy').map((policy) => policy.spec.podSelector.matchLabels),
      ]
      for (const selector of selectors) {
        assert.ok(selects(selector, spec.template.metadata.labels))
        assert.ok(!selects(selector, rendering.the('Pod').metadata.labels))
      }
    }
  })

  test('every pod runs without root, without a token and with write access only to /tmp', () => {
    for (const [name, rendering] of rendered) {
      for (const pod of [rendering.the('Deployment').spec.template.spec, rendering.the('Pod').spec]) {
        assert.equal(pod.automountServiceAccountToken, false)
        assert.equal(pod.enableServiceLinks, false)
        assert.equal(pod.securityContext.runAsNonRoot, true)
        const { runAsUser, runAsGroup, fsGroup } = pod.securityContext
        // The restricted-v2 SCC of OpenShift assigns them, and rejects any other value.
        if (name === 'openshift') assert.deepEqual([runAsUser, runAsGroup, fsGroup], Array(3).fill(undefined))
        else assert.ok(Number(runAsUser) > 0)
        const { securityContext } = pod.containers[0]
        assert.deepEqual(securityContext, {
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ['ALL'] },
        })
      }
      const { volumes, containers } = rendering.the('Deployment').spec.template.spec
      assert.deepEqual(
        containers[0].volumeMounts.map(({ name }) => name),
        volumes.map(({ name }) => name),
      )
      assert.equal(containers[0].volumeMounts.find(({ name }) => name === 'tmp')?.mountPath, '/tmp')
    }
  })

  test('the router accepts its environment, and no variable is set twice', () => {
    for (const [name, rendering] of rendered) {
      const variables = rendering.the('Deployment').spec.template.spec.containers[0].env
      assert.equal(new Set(variables.map((variable) => variable.name)).size, variables.length, name)
      const { config, warnings } = loadConfig(environment(rendering))
      assert.deepEqual(
        [config.serverType, config.logFilename, config.logFormat, config.serverPort],
        ['single', '', 'json', 8080],
      )
      assert.deepEqual(warnings, [], name)
    }
  })

  test('a numeric setting reaches the router exactly as written', () => {
    const { config } = loadConfig(environment(of('gpus')))
    assert.equal(config.bodyLimitBytes, 67_108_864)
    assert.equal(config.endpointPrefix, '')
    assert.deepEqual([config.redisHost, config.redisPort], ['redis.shared', 6379])
    assert.equal(loadConfig(environment(of('monitored'))).config.usePrometheus, true)
  })

  test('an OpenTelemetry collector is in the environment only if configured', () => {
    const endpoints = ['defaults', 'monitored'].map(
      (name) => readTracing(environment(of(name))).settings?.url,
    )
    assert.deepEqual(endpoints, [undefined, 'http://otel-collector.monitoring:4318/v1/traces'])
  })

  test('running requests get the grace period minus the initial sleep and 20 s', () => {
    const seconds = ['defaults', 'public'].map((name) => {
      const { terminationGracePeriodSeconds, containers } = of(name).the('Deployment').spec.template.spec
      const drain = Number(environment(of(name)).LLM_ROUTER_DRAIN_TIMEOUT)
      return [containers[0].lifecycle?.preStop.sleep.seconds, drain, terminationGracePeriodSeconds]
    })
    assert.deepEqual(seconds, [
      [10, 300, 330],
      [15, 595, 630],
    ])
    assert.equal(of('defaults').the('Deployment').spec.strategy.rollingUpdate.maxUnavailable, 0)
  })

  test('every probe, Service, Ingress, route and monitor refers to an existing port', () => {
    for (const rendering of rendered.values()) {
      const [container] = rendering.the('Deployment').spec.template.spec.containers
      const ports = container.ports.map(({ name }) => name)
      const admin = ports.includes('admin') ? 'admin' : 'http'
      for (const probe of [container.startupProbe, container.livenessProbe, container.readinessProbe])
        assert.equal(probe.httpGet.port, admin)
      const services = rendering.every('Service')
      for (const service of services)
        for (const port of service.spec.ports) assert.ok(ports.includes(port.targetPort ?? ''))
      for (const ingress of rendering.every('Ingress'))
        assert.deepEqual(ingress.spec.rules[0]?.http.paths[0]?.backend.service, {
          name: services[0]?.metadata.name,
          port: { name: 'http' },
        })
      for (const route of rendering.every('HTTPRoute'))
        assert.deepEqual(route.spec.rules[0]?.backendRefs, [{ name: services[0]?.metadata.name, port: 80 }])
      for (const { spec } of rendering.every('ServiceMonitor')) {
        const scraped = services.filter(
          ({ metadata, spec: { ports: own } }) =>
            selects(spec.selector.matchLabels, metadata.labels) &&
            own.some(({ name }) => name === spec.endpoints[0]?.port),
        )
        assert.equal(scraped.length, 1)
      }
    }
  })

  test('metrics on a separate port are reachable only inside the cluster', () => {
    const services = of('monitored').every('Service')
    const outside = services.find(({ spec }) => spec.type === 'LoadBalancer')
    assert.deepEqual(
      outside?.spec.ports.map(({ name }) => name),
      ['http'],
    )
    assert.equal(services.find(({ spec }) => spec.ports[0]?.name === 'admin')?.spec.type, 'ClusterIP')
  })

  test('the router loads models-config.json from the ConfigMap, with the contents of the values', () => {
    const text = of('gpus').the('ConfigMap').data?.['models-config.json'] ?? ''
    assert.deepEqual(JSON.parse(text), readYaml(join(chartDir, 'ci/gpus-values.yaml')).modelsConfig)
    const providers = new Registry<ProviderType>('provider type')
    for (const type of [openai, vllm, ollama]) providers.add(type)
    const { models } = loadModels(text, {
      providers,
      env: { OPENAI_API_KEY: 'sk-test' },
      readFile: () => assert.fail('it names no files'),
      baseDir: '/',
    })
    assert.deepEqual(
      models.map(({ alias, targets }) => [alias, targets.map(({ id }) => id)]),
      [
        ['llama', ['gpu1', 'gpu2']],
        ['gpt', ['cloud']],
      ],
    )
  })

  test('a string in modelsConfig is mounted byte for byte', () => {
    const text = '{"big": 12345678901234567890, "text": "é & <b>\\n", "active_models": {}}\n'
    const file = join(folder, 'models-config.json')
    writeFileSync(file, text)
    const rendering = render('--set-file', `modelsConfig=${file}`)
    assert.equal(rendering.the('ConfigMap').data?.['models-config.json'], text)
  })

  test('prompts are mounted where the router looks for them', async () => {
    const rendering = of('gpus')
    const directory = join(folder, 'prompts')
    const { volumes } = rendering.the('Deployment').spec.template.spec
    const volume = volumes.find(({ name }) => name === 'prompts')?.configMap
    const source = rendering.every('ConfigMap').find(({ metadata }) => metadata.name === volume?.name)
    for (const { key, path } of volume?.items ?? []) {
      mkdirSync(dirname(join(directory, path)), { recursive: true })
      writeFileSync(join(directory, path), source?.data?.[key] ?? assert.fail(key))
    }
    assert.deepEqual(await readPromptTree(directory), {
      texts: new Map([
        [
          'builtin/system/en/simplify-text',
          'Rewrite the text in plain words.\nKeep "names" & <figures> as they are.',
        ],
      ]),
      errors: [],
    })
    const { promptsDir } = loadConfig(environment(rendering)).config
    const [container] = rendering.the('Deployment').spec.template.spec.containers
    assert.equal(container.volumeMounts.find(({ name }) => name === 'prompts')?.mountPath, promptsDir)
  })

  test('a secret value is only in the Secret, and the pods read it from there', () => {
    const rendering = of('public')
    const secret = rendering.the('Secret')
    assert.equal(secret.stringData?.OPENAI_API_KEY, 'sk-not-a-key')
    const others = rendering.all.filter(({ kind }) => kind !== 'Secret')
    assert.doesNotMatch(JSON.stringify(others), /sk-not-a-key/)
    const sources = (name: string) => of(name).the('Deployment').spec.template.spec.containers[0].envFrom
    assert.deepEqual(sources('public'), [{ secretRef: { name: secret.metadata.name } }])
    assert.deepEqual(sources('gpus'), [{ secretRef: { name: 'llm-router-keys' } }])
    assert.equal(sources('defaults'), undefined)
    const password = of('gpus')
      .the('Deployment')
      .spec.template.spec.containers[0].env.find(({ name }) => name === 'LLM_ROUTER_REDIS_PASSWORD')
    assert.deepEqual(password?.valueFrom?.secretKeyRef, { name: 'redis-auth', key: 'password' })
  })

  test('a changed Secret restarts the pods; changes of other files are reloaded unless configured otherwise', () => {
    const checksum = (...args: string[]): string | undefined =>
      render(...args).the('Deployment').spec.template.metadata.annotations?.['checksum/config']
    const secret = ['--set', 'secret.values.KEY=x']
    const models = ['--set-json', 'modelsConfig={"active_models":{}}']
    const prompts = ['--set', 'prompts.own=text']
    assert.equal(checksum(), undefined)
    assert.match(checksum(...secret) ?? '', /^[0-9a-f]{64}$/)
    assert.equal(checksum(...secret, ...models, ...prompts, '--set', 'replicas=5'), checksum(...secret))
    assert.notEqual(checksum('--set', 'secret.values.KEY=y'), checksum(...secret))

    const always = ['--set', 'restartOnConfigChange=true']
    const first = checksum(...always)
    assert.match(first ?? '', /^[0-9a-f]{64}$/)
    assert.equal(checksum(...always, '--set', 'replicas=5'), first)
    for (const change of [models, prompts, secret]) assert.notEqual(checksum(...always, ...change), first)
  })

  test("the router requires the Secret's keys, reloads them on change, and trusts the configured proxies", () => {
    for (const [name, secret, networks] of [
      ['public', 'client-keys', ['10.244.0.0/16', 'fd00::/8']],
      ['openshift', 'prod-llm-router-keys', ['10.128.0.0/14']],
    ] as const) {
      const { config } = loadConfig(environment(of(name)))
      assert.equal(config.authEnabled, true)
      assert.deepEqual(config.trustedProxies, networks)
      const { containers, volumes } = of(name).the('Deployment').spec.template.spec
      const mount = containers[0].volumeMounts.find(({ name: volume }) => volume === 'keys')
      assert.equal(mount?.subPath, undefined)
      const source = volumes.find(({ name: volume }) => volume === 'keys')?.secret
      assert.equal(source?.secretName, secret)
      assert.equal(`${mount?.mountPath}/${source?.items[0]?.path}`, config.authKeysFile)
    }
    assert.equal(loadConfig(environment(of('defaults'))).config.authEnabled, false)
  })

  test('database, administrator and sign-in settings come from Secrets, without a keys file', () => {
    const { containers, volumes } = of('teams').the('Deployment').spec.template.spec
    const secrets = containers[0].env.flatMap(({ name, valueFrom }) =>
      valueFrom ? [[name, valueFrom.secretKeyRef?.name, valueFrom.secretKeyRef?.key]] : [],
    )
    assert.deepEqual(secrets, [
      ['LLM_ROUTER_ADMIN_KEY', 'llm-router', 'admin-key'],
      ['LLM_ROUTER_DATABASE_URL', 'llm-router-database', 'url'],
      ['LLM_ROUTER_OIDC_CLIENT_SECRET', 'llm-router', 'client-secret'],
      ['LLM_ROUTER_SESSION_SECRET', 'llm-router', 'session-secret'],
    ])
    const { config } = loadConfig(environment(of('teams')))
    assert.equal(config.authKeysFile, '')
    assert.equal(config.oidcIssuer, 'https://login.example.com/realms/company')
    assert.deepEqual(config.oidcRoleMap, ['llm-admins=admin', 'staff=viewer'])
    assert.ok(volumes.every(({ name }) => name !== 'keys'))
    const spool = containers[0].volumeMounts.find(({ name }) => name === 'usage')
    assert.equal(spool?.mountPath, config.usageSpool)
    const ports = JSON.stringify(of('teams').the('NetworkPolicy'))
    assert.match(ports, /"port":5432/)
  })

  test('keys in the values are only in a Secret that the router can load', () => {
    const rendering = of('openshift')
    const secret = rendering.the('Secret')
    assert.equal(secret.metadata.name, 'prod-llm-router-keys')
    const { entries, warnings } = loadClientKeys(secret.stringData?.['keys.json'] ?? '', '/keys.json', {})
    assert.deepEqual([entries.map(({ client }) => client.id), warnings], [['team-a'], []])
    const others = rendering.all.filter(({ kind }) => kind !== 'Secret')
    const [digest] = /[0-9a-f]{64}/.exec(secret.stringData?.['keys.json'] ?? '') ?? assert.fail('no digest')
    assert.ok(!JSON.stringify(others).includes(digest))
  })

  test('with keys enabled, Prometheus scrapes the admin port or sends a key', () => {
    const on = ['--set', 'auth.enabled=true,auth.keysFrom.name=keys']
    const scrape = ['--set', 'metrics.enabled=true,metrics.serviceMonitor.enabled=true']
    const endpoint = (...args: string[]) =>
      render(...on, ...scrape, ...args).the('ServiceMonitor').spec.endpoints[0]
    assert.deepEqual(endpoint('--set', 'adminPort=9090'), {
      port: 'admin',
      path: '/metrics',
      interval: '30s',
    })
    assert.deepEqual(endpoint('--set', 'metrics.serviceMonitor.keyFrom.name=scrape-key')?.authorization, {
      type: 'Bearer',
      credentials: { name: 'scrape-key', key: 'key' },
    })
  })

  test('with keys enabled, the helm test uses the configured key', () => {
    const variables = (name: string) => of(name).the('Pod').spec.containers[0].env
    const key = variables('public').find(({ name }) => name === 'KEY')
    assert.deepEqual(key?.valueFrom?.secretKeyRef, { name: 'client-keys', key: 'test' })
    assert.ok(!variables('openshift').some(({ name }) => name === 'KEY'))
    for (const [name, asks] of [
      ['defaults', 'false'],
      ['openshift', 'true'],
    ] as const)
      assert.equal(variables(name).find((variable) => variable.name === 'ASKS_FOR_KEYS')?.value, asks)
  })

  test('a base path is set in the router and in every object that publishes it', () => {
    const published = render(
      '--set',
      'basePath=/llm,ingress.enabled=true,ingress.hosts={a.example.com}',
      '--set',
      'httpRoute.enabled=true,httpRoute.parentRefs[0].name=public',
      '--set',
      'route.enabled=true',
    )
    assert.equal(loadConfig(environment(published)).config.basePath, '/llm')
    const { path, pathType } = published.the('Ingress').spec.rules[0]?.http.paths[0] ?? assert.fail('no path')
    assert.deepEqual([path, pathType], ['/llm', 'Prefix'])
    assert.equal(published.the('HTTPRoute').spec.rules[0]?.matches[0]?.path.value, '/llm')
    assert.equal(published.the('Route').spec.path, '/llm')

    assert.equal(of('public').the('Ingress').spec.rules[0]?.http.paths[0]?.path, '/')
    assert.equal(of('public').the('HTTPRoute').spec.rules[0]?.matches[0]?.path.value, '/')
    const rewritten = render(
      '--set',
      'ingress.enabled=true,ingress.hosts={a.example.com},ingress.pathType=ImplementationSpecific',
      '--set-string',
      'ingress.path=/llm(/|$)(.*)',
    )
    assert.equal(loadConfig(environment(rewritten)).config.basePath, '')
    assert.equal(rewritten.the('Ingress').spec.rules[0]?.http.paths[0]?.path, '/llm(/|$)(.*)')
  })

  test('an OpenShift Route refers to the Service, with TLS', () => {
    const { spec } = of('openshift').the('Route')
    assert.equal(spec.to.name, of('openshift').the('Service').metadata.name)
    assert.ok(
      of('openshift')
        .the('Service')
        .spec.ports.some(({ name }) => name === spec.port.targetPort),
    )
    assert.equal(spec.tls?.termination, 'edge')
  })

  test('an autoscaled Deployment sets no replica count', () => {
    const { spec } = of('public').the('HorizontalPodAutoscaler')
    assert.equal(of('public').the('Deployment').spec.replicas, undefined)
    assert.equal(spec.scaleTargetRef.name, of('public').the('Deployment').metadata.name)
    assert.deepEqual(
      spec.metrics.map(({ type }) => type),
      ['Resource', 'Pods'],
    )
    assert.equal(of('gpus').the('Deployment').spec.replicas, 3)
  })

  test('a network policy with upstreams also allows DNS and Redis; without upstreams egress is unrestricted', () => {
    const strict = of('gpus').the('NetworkPolicy').spec
    const open = strict.egress?.flatMap(({ ports }) => ports.map(({ port }) => port))
    assert.deepEqual(open, [8000, 11434, 443, 53, 53, 6379])
    assert.equal(strict.ingress[0]?.from?.length, 2)
    const loose = of('monitored').the('NetworkPolicy').spec
    assert.deepEqual(loose.policyTypes, ['Ingress'])
    assert.deepEqual(
      loose.ingress.map(({ ports, from }) => [ports[0]?.port, from !== undefined]),
      [
        ['http', false],
        ['admin', true],
      ],
    )
  })

  test('the addresses of a Redis cluster or Sentinels reach the router, and the policy allows all their ports', () => {
    const values = (url: string) => ['--set', `redis.url=${url.replaceAll(',', '\\,')}`]
    const ports = (url: string) =>
      render('-f', monitored(), ...values(url), '--set', 'networkPolicy.upstreams[0].ports[0].port=8000')
        .the('NetworkPolicy')
        .spec.egress?.flatMap((rule) => rule.ports.map(({ port }) => port))
    const cluster = 'redis://node-0:7000,node-1:7000,node-2:6379'
    const { config } = loadConfig(environment(render(...values(cluster))))
    assert.deepEqual([config.redisUrl, config.redisHost], [cluster, ''])
    assert.deepEqual(ports(cluster), [8000, 53, 53, 6379, 7000])
    assert.deepEqual(ports('redis+sentinel://a:26379,b:26379/mymaster'), [8000, 53, 53, 6379, 26379])
  })

  test('alert rules keep their own templates, and the dashboard is labelled for the sidecar', () => {
    const [group] = of('monitored').the('PrometheusRule').spec.groups
    assert.match(JSON.stringify(group), /\{\{ \$value \}\} requests a second fail/)
    const dashboard = of('monitored').the('ConfigMap')
    assert.equal(dashboard.metadata.labels.grafana_dashboard, '1')
    assert.equal(JSON.parse(dashboard.data?.['llm-router.json'] ?? '').title, 'llm-router')
  })
})

function monitored(): string {
  return examples.get('monitored-values.yaml') ?? assert.fail('there is no such example')
}

/** The plain variables of the router's container. */
function environment(rendering: Rendering): Record<string, string | undefined> {
  const { env } = rendering.the('Deployment').spec.template.spec.containers[0]
  return Object.fromEntries(
    env.map(({ name, value, valueFrom }) => [name, valueFrom ? fromSecrets[name] : value]),
  )
}

/** The contents of the Secrets that the examples name. */
const fromSecrets: Record<string, string> = {
  LLM_ROUTER_DATABASE_URL: 'postgres://router:secret@database:5432/router',
  LLM_ROUTER_SESSION_SECRET: 'secret-of-the-sessions-of-the-tests',
  LLM_ROUTER_OIDC_CLIENT_SECRET: 'secret-of-the-router',
  LLM_ROUTER_ADMIN_KEY: 'sk-admin-of-the-tests-0123456789',
}
