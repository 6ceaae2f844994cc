import type { MetricFamily, MetricSample } from '../../cluster/metric-sums.ts'
import { Breath } from '../../lib/breath.ts'

/** So many lines are written in one piece: a thousand models have a hundred thousand. */
const linesAtOnce = 500

/**
 * The text format of Prometheus (https://prometheus.io/docs/instrumenting/exposition_formats/), for families that are asked for
 * one after the other. Requests go on meanwhile: each family is of one moment, not the whole text.
 */
export async function textOf(
  families: readonly (() => Promise<MetricFamily | undefined>)[],
): Promise<Buffer> {
  const pieces: Buffer[] = []
  const breath = new Breath()
  for (const family of families) {
    const read = await family()
    if (!read) continue
    const { name, help, type, values } = read
    pieces.push(Buffer.from(`# HELP ${name} ${escaped(help)}\n# TYPE ${name} ${type}\n`))
    for (let from = 0; from < values.length; from += linesAtOnce) {
      let lines = ''
      for (const sample of values.slice(from, from + linesAtOnce)) lines += lineOf(name, sample)
      // As bytes: to put all of a long string together would take its time at the end.
      pieces.push(Buffer.from(lines))
      await breath.take()
    }
    pieces.push(Buffer.from('\n'))
    await breath.take()
  }
  return Buffer.concat(pieces)
}

function lineOf(family: string, { metricName = family, labels, value }: MetricSample): string {
  let pairs = ''
  for (const name in labels) {
    const label = labels[name]
    if (label !== undefined) pairs += `${pairs === '' ? '' : ','}${name}="${escaped(String(label), true)}"`
  }
  return `${metricName}${pairs === '' ? '' : `{${pairs}}`} ${numberOf(value)}\n`
}

function escaped(text: string, isLabel = false): string {
  if (!/[\\\n"]/.test(text)) return text
  const safe = text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')
  return isLabel ? safe.replaceAll('"', '\\"') : safe
}

function numberOf(value: number): string {
  if (Number.isFinite(value) || Number.isNaN(value)) return Number.isNaN(value) ? 'NaN' : String(value)
  return value > 0 ? '+Inf' : '-Inf'
}
