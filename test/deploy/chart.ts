import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse, parseAllDocuments } from 'yaml'

export const chartDir = join(import.meta.dirname, '../../deploy/helm/llm-router')

export type Labels = Record<string, string>

export interface Manifest {
  apiVersion: string
  kind: string
  metadata: { name: string; namespace: string; labels: Labels; annotations?: Labels }
  data?: Record<string, string>
  stringData?: Record<string, string>
}

export interface Variable {
  name: string
  value?: string
  valueFrom?: { secretKeyRef?: { name: string; key: string } }
}

interface Port {
  name: string
  port?: number
  targetPort?: string
  containerPort?: number
}

interface Probe {
  httpGet: { path: string; port: string }
}

interface Container {
  image: string
  command?: string[]
  args?: string[]
  env: Variable[]
  envFrom?: { secretRef: { name: string } }[]
  ports: Port[]
  startupProbe: Probe
  livenessProbe: Probe
  readinessProbe: Probe
  lifecycle?: { preStop: { sleep: { seconds: number } } }
  resources: { requests: Labels; limits: Labels }
  securityContext: {
    readOnlyRootFilesystem: boolean
    allowPrivilegeEscalation: boolean
    capabilities: object
  }
  volumeMounts: { name: string; mountPath: string; subPath?: string }[]
}

export interface PodSpec {
  automountServiceAccountToken: boolean
  enableServiceLinks: boolean
  terminationGracePeriodSeconds: number
  securityContext: { runAsNonRoot: boolean; runAsUser?: number; runAsGroup?: number; fsGroup?: number }
  containers: [Container]
  volumes: {
    name: string
    emptyDir?: object
    configMap?: { name: string; items: { key: string; path: string }[] }
    secret?: { secretName: string; items: { key: string; path: string }[] }
  }[]
  topologySpreadConstraints?: { topologyKey: string }[]
}

interface Selector {
  matchLabels: Labels
}

/** The members that the tests read, by kind. */
export interface Kinds {
  ConfigMap: Manifest
  Secret: Manifest
  ServiceAccount: Manifest
  Deployment: Manifest & {
    spec: {
      replicas?: number
      strategy: { rollingUpdate: { maxUnavailable: number } }
      selector: Selector
      template: { metadata: { labels: Labels; annotations?: Labels }; spec: PodSpec }
    }
  }
  Service: Manifest & { spec: { type: string; ports: Port[]; selector: Labels } }
  Pod: Manifest & { spec: PodSpec }
  PodDisruptionBudget: Manifest & { spec: { selector: Selector } }
  HorizontalPodAutoscaler: Manifest & {
    spec: { scaleTargetRef: { kind: string; name: string }; metrics: { type: string }[] }
  }
  NetworkPolicy: Manifest & {
    spec: {
      podSelector: Selector
      policyTypes: string[]
      ingress: { ports: { port: string | number }[]; from?: object[] }[]
      egress?: { ports: { port: string | number }[] }[]
    }
  }
  Ingress: Manifest & {
    spec: {
      rules: {
        host: string
        http: {
          paths: {
            path: string
            pathType: string
            backend: { service: { name: string; port: { name: string } } }
          }[]
        }
      }[]
    }
  }
  HTTPRoute: Manifest & {
    spec: {
      rules: { matches: { path: { value: string } }[]; backendRefs: { name: string; port: number }[] }[]
    }
  }
  Route: Manifest & {
    spec: {
      host?: string
      path?: string
      to: { kind: string; name: string }
      port: { targetPort: string }
      tls?: { termination: string }
    }
  }
  ServiceMonitor: Manifest & {
    spec: { selector: Selector; endpoints: { port: string; path: string; authorization?: object }[] }
  }
  PrometheusRule: Manifest & { spec: { groups: { name: string; rules: { alert: string }[] }[] } }
}

/** The manifests of one rendering. */
export class Rendering {
  readonly all: readonly Manifest[]

  constructor(text: string) {
    this.all = parseAllDocuments(text).map((document) => document.toJS())
  }

  kinds(): string[] {
    return this.all.map(({ kind }) => kind).sort()
  }

  every<Kind extends keyof Kinds>(kind: Kind): Kinds[Kind][] {
    return this.all.filter((manifest): manifest is Kinds[Kind] => manifest.kind === kind)
  }

  /** The first manifest of a kind. */
  the<Kind extends keyof Kinds>(kind: Kind): Kinds[Kind] {
    const [first] = this.every(kind)
    if (!first) throw new Error(`no ${kind} was rendered`)
    return first
  }
}

/** For the `skip` option of a test: the reason why it cannot run here, or false. */
export function missing(...tools: string[]): string | false {
  const absent = tools.filter((tool) => spawnSync(tool, ['--help']).error !== undefined)
  return absent.length > 0 && `${absent.join(' and ')} not on PATH`
}

/** Runs helm with the chart's Kubernetes version; returns stdout on success, else the error. */
export function helm(args: readonly string[], cwd = chartDir): { text: string } | { error: string } {
  const version = args[0] === 'template' ? ['--kube-version', '1.34.0'] : []
  const { status, stdout, stderr } = spawnSync('helm', [...args, ...version], { cwd, encoding: 'utf8' })
  return status === 0 ? { text: stdout } : { error: stderr }
}

/** The output of `helm template` for the chart with these additional arguments. */
export function render(...args: string[]): Rendering {
  const result = helm(['template', 'prod', chartDir, '--namespace', 'llm', ...args])
  if ('error' in result) throw new Error(result.error)
  return new Rendering(result.text)
}

/** The example value files, by name. */
export const examples: ReadonlyMap<string, string> = new Map(
  readdirSync(join(chartDir, 'ci')).map((file) => [file, join(chartDir, 'ci', file)]),
)

export function readYaml(path: string): Record<string, unknown> {
  return parse(readFileSync(path, 'utf8'))
}

/** Whether each label of the selector is among the labels. */
export function selects(selector: Labels, labels: Labels): boolean {
  return Object.entries(selector).every(([name, value]) => labels[name] === value)
}
