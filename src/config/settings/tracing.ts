type Environment = Readonly<Record<string, string | undefined>>

/** Supported OpenTelemetry samplers, by their standard names. */
export const samplers = [
  'always_on',
  'always_off',
  'traceidratio',
  'parentbased_always_on',
  'parentbased_always_off',
  'parentbased_traceidratio',
] as const

export type SamplerName = (typeof samplers)[number]

/** How spans are recorded and sent. The exporter itself reads the variables for headers, timeout and certificates. */
export interface TracingSettings {
  /** URL of the collector: OTLP over HTTP, protobuf. */
  url: string
  sampler: SamplerName
  /** Sampling ratio, 0 to 1. */
  ratio: number
  /** In milliseconds and spans; absent: OpenTelemetry's defaults. */
  batch: {
    scheduledDelayMillis?: number
    exportTimeoutMillis?: number
    maxQueueSize?: number
    maxExportBatchSize?: number
  }
}

const endpointNames = ['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT', 'OTEL_EXPORTER_OTLP_ENDPOINT'] as const
const protocolNames = ['OTEL_EXPORTER_OTLP_TRACES_PROTOCOL', 'OTEL_EXPORTER_OTLP_PROTOCOL'] as const

/**
 * Reads OpenTelemetry's own variables; without settings, nothing is recorded. An invalid value is a warning, not an
 * error, as the specification requires: telemetry must not prevent a service from starting.
 * Source: OpenTelemetry specification, "Environment Variable Specification" and "OTLP Exporter Configuration".
 */
export function readTracing(env: Environment): { settings?: TracingSettings; warnings: string[] } {
  const warnings: string[] = []
  const name = endpointNames.find((each) => textOf(env, each) !== '')
  if (name === undefined || isDisabled(env)) return { warnings }
  const unsupported = unsupportedSetting(env)
  if (unsupported !== undefined) return { warnings: [`${unsupported}; nothing is traced`] }
  const url = urlIn(textOf(env, name), name)
  if (url === undefined) {
    return { warnings: [`${name} is not an address like http://collector:4318; nothing is traced`] }
  }
  const settings: TracingSettings = { url, ...samplerIn(env, warnings), batch: batchIn(env, warnings) }
  return { settings, warnings }
}

function isDisabled(env: Environment): boolean {
  return (
    textOf(env, 'OTEL_SDK_DISABLED').toLowerCase() === 'true' ||
    textOf(env, 'OTEL_TRACES_EXPORTER') === 'none'
  )
}

function unsupportedSetting(env: Environment): string | undefined {
  const exporter = textOf(env, 'OTEL_TRACES_EXPORTER')
  if (exporter !== '' && exporter !== 'otlp') return 'OTEL_TRACES_EXPORTER: the only exporter is otlp'
  const name = protocolNames.find((each) => textOf(env, each) !== '')
  if (name === undefined || textOf(env, name) === 'http/protobuf') return undefined
  return `${name}: the only protocol is http/protobuf, for which collectors usually listen on port 4318`
}

/** The endpoint for all signals is a base URL to which the path is appended; the one for traces is complete. */
function urlIn(text: string, name: (typeof endpointNames)[number]): string | undefined {
  const url = URL.parse(text)
  if (!url || !/^https?:$/.test(url.protocol)) return undefined
  if (name === 'OTEL_EXPORTER_OTLP_ENDPOINT') url.pathname = `${url.pathname.replace(/\/$/, '')}/v1/traces`
  return url.href
}

function samplerIn(env: Environment, warnings: string[]): Pick<TracingSettings, 'sampler' | 'ratio'> {
  const preset = 'parentbased_always_on'
  const text = textOf(env, 'OTEL_TRACES_SAMPLER') || preset
  const sampler = samplers.find((name) => name === text)
  if (!sampler) warnings.push(`OTEL_TRACES_SAMPLER is not one of: ${samplers.join(', ')}; ${preset} is used`)
  const argument = textOf(env, 'OTEL_TRACES_SAMPLER_ARG')
  const ratio = argument === '' ? 1 : Number(argument)
  const isRatio = ratio >= 0 && ratio <= 1
  if (sampler?.endsWith('ratio') && !isRatio) {
    warnings.push('OTEL_TRACES_SAMPLER_ARG is not a number from 0 to 1; 1 is used')
  }
  return { sampler: sampler ?? preset, ratio: isRatio ? ratio : 1 }
}

const batchNames = {
  OTEL_BSP_SCHEDULE_DELAY: 'scheduledDelayMillis',
  OTEL_BSP_EXPORT_TIMEOUT: 'exportTimeoutMillis',
  OTEL_BSP_MAX_QUEUE_SIZE: 'maxQueueSize',
  OTEL_BSP_MAX_EXPORT_BATCH_SIZE: 'maxExportBatchSize',
} as const

function batchIn(env: Environment, warnings: string[]): TracingSettings['batch'] {
  const batch: TracingSettings['batch'] = {}
  for (const [name, setting] of Object.entries(batchNames)) {
    const text = textOf(env, name)
    if (text === '') continue
    if (/^[1-9][0-9]{0,8}$/.test(text)) batch[setting] = Number(text)
    else warnings.push(`${name} is not an integer above 0; OpenTelemetry's default is used`)
  }
  return batch
}

function textOf(env: Environment, name: string): string {
  return env[name]?.trim() ?? ''
}
