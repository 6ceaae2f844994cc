export interface MetricSample {
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

/** Engines export a few hundred lines; longer texts are read up to this limit. */
const maxLines = 20_000
const maxLineLength = 4_096

/**
 * Samples of the metrics with these names, from a text in the Prometheus exposition format
 * (https://prometheus.io/docs/instrumenting/exposition_formats/). Invalid samples are skipped, so one malformed line does not
 * hide an engine's load. Values that are not finite are skipped too.
 */
export function metricsIn(text: string, names: ReadonlySet<string>): Map<string, MetricSample[]> {
  const found = new Map<string, MetricSample[]>()
  let from = 0
  for (let count = 0; count < maxLines && from < text.length; count++) {
    const newline = text.indexOf('\n', from)
    const end = newline === -1 ? text.length : newline
    if (end - from <= maxLineLength) readLine(text.slice(from, end), names, found)
    from = end + 1
  }
  return found
}

function readLine(line: string, names: ReadonlySet<string>, found: Map<string, MetricSample[]>): void {
  const name = /^[A-Za-z_:][\w:]*/.exec(line)?.[0]
  if (name === undefined || !names.has(name)) return
  const labels: Record<string, string> = {}
  let rest = line.slice(name.length).trimStart()
  if (rest.startsWith('{')) {
    const end = readLabels(rest, labels)
    if (end === undefined) return
    rest = rest.slice(end)
  }
  const [text = ''] = rest.trim().split(/[ \t]+/) // a timestamp may follow
  const value = text === '' ? Number.NaN : Number(text)
  if (!Number.isFinite(value)) return
  const samples = found.get(name) ?? []
  samples.push({ labels, value })
  found.set(name, samples)
}

const label = /^\s*([A-Za-z_]\w*)\s*=\s*"((?:[^"\\]|\\.)*)"\s*(,?)/
const closing = /^\s*\}/

/** Reads `{name="value",...}` into `labels`. Returns the index behind it; undefined if it is malformed. */
function readLabels(text: string, labels: Record<string, string>): number | undefined {
  let at = 1
  for (;;) {
    const rest = text.slice(at)
    const end = closing.exec(rest)
    if (end) return at + end[0].length
    const match = label.exec(rest)
    if (!match) return undefined
    const [, name = '', value = ''] = match
    labels[name] = value.replace(/\\(.)/g, (_, character: string) => (character === 'n' ? '\n' : character))
    at += match[0].length
  }
}
