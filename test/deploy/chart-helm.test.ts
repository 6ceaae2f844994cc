import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { chartDir, examples, helm, missing, Rendering } from './chart.ts'

describe('helm and the chart', { skip: missing('helm') }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'llm-router-chart-'))
  after(() => rmSync(folder, { recursive: true }))

  test('helm lint reports no errors', () => {
    for (const path of [join(chartDir, 'values.yaml'), ...examples.values()]) {
      const result = helm(['lint', '--strict', '--quiet', '-f', path, '.'])
      assert.ok('text' in result, 'error' in result ? result.error : '')
    }
  })

  for (const [error, ...args] of [
    ['gracePeriodSeconds must be greater', '--set', 'shutdown.gracePeriodSeconds=30'],
    [
      'set only one of them',
      '--set',
      'modelsConfigFrom.name=x',
      '--set',
      'modelsConfig.active_models.a=null',
    ],
    ['not a models-config.json', '--set', 'modelsConfig=local_models'],
    ['adminPort: the same as port', '--set', 'adminPort=8080'],
    ['nothing to scale by', '--set', 'autoscaling.enabled=true,autoscaling.cpuUtilization=0'],
    ['which is not set', '--set', 'autoscaling.enabled=true,resources.requests.cpu=null'],
    ['minReplicas is greater', '--set', 'autoscaling.enabled=true,autoscaling.minReplicas=99'],
    ['ingress.hosts: empty', '--set', 'ingress.enabled=true'],
    ['httpRoute.parentRefs: empty', '--set', 'httpRoute.enabled=true'],
    ['auth.keysFrom.name', '--set', 'auth.enabled=true'],
    ['set only one of them', '--set', 'auth.enabled=true,auth.keysFrom.name=x,auth.keys.keys[0].id=a'],
    ['requests would not be authenticated', '--set', 'auth.keysFrom.name=x'],
    ['database.urlFrom has no effect', '--set', 'database.urlFrom.name=x'],
    ['auth.sessionSecretFrom.name', '--set', 'auth.enabled=true,database.urlFrom.name=x'],
    ['oidc.clientId, oidc.roleMap and publicUrl', '--set', 'oidc.issuer=https://login.example.com'],
    [
      "replicas would not accept each other's sessions",
      '--set',
      'oidc.issuer=https://login.example.com,oidc.clientId=x,oidc.roleMap.a=admin',
      '--set',
      'publicUrl=https://llm.example.com',
    ],
    [
      '/metrics requires a key',
      '--set',
      'auth.enabled=true,auth.keysFrom.name=x',
      '--set',
      'metrics.enabled=true,metrics.serviceMonitor.enabled=true',
    ],
    ['the test needs a key', '--set', 'auth.enabled=true,auth.keysFrom.name=x,test.model=demo'],
    ['nothing to scrape', '--set', 'metrics.serviceMonitor.enabled=true'],
    ['no rules with groups', '--set', 'metrics.prometheusRule.enabled=true,metrics.prometheusRule.rules=x'],
    ['no dashboard with a title', '--set', 'metrics.dashboard.enabled=true,metrics.dashboard.json=x'],
    ['replica', '--set', 'replica=3'],
  ] as const) {
    test(`contradictory values are rejected: ${error}`, () => {
      const result = helm(['template', 'prod', chartDir, ...args])
      assert.ok('error' in result)
      assert.ok(result.error.includes(error), result.error)
    })
  }

  test('the notes warn about replicas without Redis and about a router without authentication', () => {
    // Only `install` renders them, which needs a cluster even in a dry run; here they become the data of a manifest.
    const copy = join(folder, 'copy')
    cpSync(chartDir, copy, { recursive: true })
    const text = readFileSync(join(copy, 'templates/NOTES.txt'), 'utf8')
    writeFileSync(join(copy, 'templates/_notes.tpl'), `{{ define "notes" }}${text}{{ end }}`)
    writeFileSync(
      join(copy, 'templates/notes.yaml'),
      'kind: Notes\ndata: {notes: {{ include "notes" . | toJson }}}',
    )
    const notes = (...args: string[]): string => {
      const result = helm(['template', 'prod', copy, ...args])
      assert.ok('text' in result, 'error' in result ? result.error : '')
      const rendering = new Rendering(result.text)
      return rendering.all.find(({ kind }) => kind === 'Notes')?.data?.notes ?? ''
    }
    const strategy = ['--set', 'env.LLM_ROUTER_BALANCE_STRATEGY=first_available']
    assert.match(notes(...strategy), /exclusive within each replica/)
    assert.doesNotMatch(notes(...strategy, '--set', 'redis.host=redis'), /exclusive within/)
    assert.doesNotMatch(notes(), /exclusive within/)
    assert.match(notes(), /"demo" of the embedded mock/)

    const one = ['--set', 'replicas=1']
    const keys = ['--set', 'auth.enabled=true,auth.keysFrom.name=x']
    const unlimited = ['--set', 'auth.enabled=true,auth.keys.keys[0].id=a']
    assert.match(notes(), /up to 2 replicas without Redis/)
    assert.match(notes(), /previous_response_id/)
    assert.doesNotMatch(notes('--set', 'env.LLM_ROUTER_RESPONSES_MAX=0'), /without Redis/)
    assert.match(notes(...keys), /up to 2 times its limits/)
    assert.match(notes(...keys, ...one, '--set', 'autoscaling.enabled=true'), /up to 10 times its limits/)
    assert.doesNotMatch(notes(...unlimited), /times its limits/)
    assert.match(
      notes(...unlimited, '--set', 'auth.keys.keys[0].max_concurrent=2'),
      /up to 2 times its limits/,
    )
    assert.match(notes('--set', 'secret.existing=s'), /the Secret s sets LLM_ROUTER_REDIS_URL/)
    for (const shared of [
      one,
      ['--set', 'redis.host=redis'],
      ['--set', 'redis.url=redis+cluster://redis'],
      ['--set', 'env.LLM_ROUTER_REDIS_URL=redis://redis'],
      ['--set', 'secret.values.LLM_ROUTER_REDIS_URL=redis://:x@redis'],
      ['--set', 'extraEnv[0].name=LLM_ROUTER_REDIS_URL'],
    ])
      assert.doesNotMatch(notes(...keys, ...strategy, ...shared), /without Redis/, shared.join(' '))

    const published = ['--set', 'route.enabled=true']
    assert.doesNotMatch(notes(), /published without client keys/)
    assert.match(notes(...published), /published without client keys/)
    assert.match(notes('--set', 'service.type=LoadBalancer'), /published without client keys/)
    assert.doesNotMatch(notes(...published, ...keys), /published without client keys/)
    assert.match(notes(...published, ...keys), /trustedProxies is empty/)
  })

  test("the packaged chart contains the repository's dashboard and alert rules", () => {
    const target = join(folder, 'packages')
    const { status, stderr } = spawnSync(join(chartDir, '../package.sh'), [target], { encoding: 'utf8' })
    assert.equal(status, 0, stderr)
    const archive = readdirSync(target).find((name) => name.endsWith('.tgz')) ?? ''
    assert.match(archive, /^llm-router-.*\.tgz$/)
    for (const [value, file] of [
      ['metrics.dashboard', 'grafana/llm-router.json'],
      ['metrics.prometheusRule', 'prometheus/rules.yaml'],
    ] as const) {
      const packaged = helm(['template', 'prod', join(target, archive), '--set', `${value}.enabled=true`])
      const source = join(chartDir, '../../../resources', file)
      assert.equal('text' in packaged, existsSync(source), file)
    }
  })

  const schemas = process.env.KUBERNETES_SCHEMAS
  const without = missing('kubeconform') || (!schemas && 'KUBERNETES_SCHEMAS is not set')
  test('kubeconform validates the manifests against the schemas of KUBERNETES_SCHEMAS', {
    skip: without,
  }, () => {
    for (const path of [join(chartDir, 'values.yaml'), ...examples.values()]) {
      const result = helm(['template', 'prod', chartDir, '-f', path])
      const { status, stdout } = spawnSync(
        'kubeconform',
        [
          '-strict',
          '-ignore-missing-schemas',
          '-kubernetes-version',
          '1.34.0',
          '-schema-location',
          schemas ?? '',
        ],
        { input: 'text' in result ? result.text : '', encoding: 'utf8' },
      )
      assert.equal(status, 0, stdout)
    }
  })
})
