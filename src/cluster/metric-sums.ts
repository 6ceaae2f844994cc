/** All series of one metric, in the form that the registry gives and takes. */
export interface MetricFamily {
  name: string
  help: string
  type: string
  /** How the values of several processes become one. */
  aggregator: string
  values: readonly MetricSample[]
}

export interface MetricSample {
  value: number
  labels: Readonly<Record<string, string | number | undefined>>
  /** Where it is not the family's: the parts of a histogram. */
  metricName?: string
}

/** What must not be forgotten with the process that counted it: the others say how it is now, and it is no more. */
export function countsOf(families: readonly MetricFamily[]): MetricFamily[] {
  return families.filter(
    ({ type, aggregator }) => (type === 'counter' || type === 'histogram') && aggregator === 'sum',
  )
}

/** The sum of both, series by series. */
export function addCounts(one: readonly MetricFamily[], other: readonly MetricFamily[]): MetricFamily[] {
  const sums = new Map(one.map((family) => [family.name, family]))
  for (const family of other) {
    const sum = sums.get(family.name)
    sums.set(family.name, sum ? { ...sum, values: addSamples(sum.values, family.values) } : family)
  }
  return [...sums.values()]
}

function addSamples(one: readonly MetricSample[], other: readonly MetricSample[]): MetricSample[] {
  const sums = new Map(one.map((sample) => [seriesOf(sample), sample]))
  for (const sample of other) {
    const key = seriesOf(sample)
    const sum = sums.get(key)
    sums.set(key, sum ? { ...sum, value: sum.value + sample.value } : sample)
  }
  return [...sums.values()]
}

function seriesOf({ metricName, labels }: MetricSample): string {
  const sorted = Object.entries(labels).toSorted(([a], [b]) => (a < b ? -1 : 1))
  return JSON.stringify([metricName, sorted])
}
