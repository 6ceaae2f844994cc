import type { FastifyInstance } from 'fastify'
import { EventLoopBudget } from '../../lib/event-loop-budget.ts'
import { merged } from './labels.ts'

type Labels<Name extends string> = Readonly<Record<Name, string | number>>
type Client = FastifyInstance['metrics']['client']

interface Description<Label extends string> {
  name: string
  help: string
  labelNames: readonly Label[]
}

/** A sample as the registry writes it; `metricName` if it differs from the family's name. */
interface Sample {
  labels: Labels<string>
  value: number
  metricName?: string
}

/**
 * Counters and histograms whose series are incremented in place. The library builds a key from all labels for each
 * increment, which costs a request more than its log line. Here the caller keeps the series, and the registry reads the
 * values when it renders them.
 */
export class Families {
  readonly #register: Client['register']

  constructor({ register }: Client) {
    this.#register = register
  }

  counter<Label extends string>(description: Description<Label>): CounterFamily<Label> {
    return this.#added(new CounterFamily(description))
  }

  /** `buckets`: ascending upper bounds without infinity. */
  histogram<Label extends string>(
    description: Description<Label> & { buckets: readonly number[] },
  ): HistogramFamily<Label> {
    return this.#added(new HistogramFamily(description))
  }

  /** A gauge that is read on demand. `aggregator`: how prom-client merges the values of several processes. */
  gauge(description: GaugeDescription): void {
    this.#added(new GaugeFamily(description))
  }

  #added<Added extends object>(family: Added): Added {
    // The registry only needs `name` and `get`; its type requires the library's classes.
    this.#register.registerMetric(family as unknown as InstanceType<Client['Counter']>)
    return family
  }
}

/** All series of a metric. Equal labels share one series. */
abstract class Family<Series, Label extends string> {
  readonly name: string
  readonly help: string
  readonly labelNames: readonly Label[]
  readonly aggregator = 'sum'
  abstract readonly type: string
  readonly #series = new Map<string, { labels: Labels<Label>; series: Series }>()

  constructor({ name, help, labelNames }: Description<Label>) {
    this.name = name
    this.help = help
    this.labelNames = labelNames
  }

  series(labels: Labels<Label>): Series {
    const key = JSON.stringify(this.labelNames.map((name) => labels[name]))
    const known = this.#series.get(key)
    if (known) return known.series
    const series = this.made()
    this.#series.set(key, { labels, series })
    return series
  }

  /** Same shape as prom-client's metrics. Omits series that have counted nothing. */
  async get() {
    const { name, help, type, aggregator } = this
    const values: Sample[] = []
    const budget = new EventLoopBudget()
    // Series added during the iteration come at the end.
    for (const { labels, series } of this.#series.values()) {
      for (const sample of this.samples(series, labels)) values.push(sample)
      await budget.take()
    }
    return { name, help, type, aggregator, values }
  }

  protected abstract made(): Series
  protected abstract samples(series: Series, labels: Labels<Label>): Sample[]
}

export class CounterFamily<Label extends string> extends Family<Count, Label> {
  readonly type = 'counter'

  protected made(): Count {
    return { value: 0 }
  }

  protected samples({ value }: Count, labels: Labels<Label>): Sample[] {
    return value === 0 ? [] : [{ labels, value }]
  }
}

interface GaugeDescription extends Description<string> {
  aggregator?: string
  read(): Iterable<Sample>
}

class GaugeFamily {
  readonly type = 'gauge'
  readonly name: string
  readonly help: string
  readonly labelNames: readonly string[]
  readonly aggregator: string
  readonly #read: () => Iterable<Sample>

  constructor({ name, help, labelNames, aggregator = 'sum', read }: GaugeDescription) {
    this.name = name
    this.help = help
    this.labelNames = labelNames
    this.aggregator = aggregator
    this.#read = read
  }

  async get() {
    const { name, help, type, aggregator } = this
    const values: Sample[] = []
    const budget = new EventLoopBudget()
    for (const sample of merged(this.#read(), aggregator === 'average' ? 'average' : 'sum')) {
      values.push(sample)
      await budget.take()
    }
    return { name, help, type, aggregator, values }
  }
}

/** A running total. */
export interface Count {
  value: number
}

export class HistogramFamily<Label extends string> extends Family<Distribution, Label> {
  readonly type = 'histogram'
  readonly #bounds: readonly number[]

  constructor({ buckets, ...description }: Description<Label> & { buckets: readonly number[] }) {
    super(description)
    this.#bounds = buckets
  }

  protected made(): Distribution {
    return new Distribution(this.#bounds)
  }

  protected samples(distribution: Distribution, labels: Labels<Label>): Sample[] {
    const { count, sum } = distribution
    if (count === 0) return []
    const bucket = (le: number | string, value: number): Sample => {
      return { metricName: `${this.name}_bucket`, labels: { le, ...labels }, value }
    }
    return [
      ...distribution.upTo().map((value, index) => bucket(this.#bounds[index] ?? '+Inf', value)),
      bucket('+Inf', count),
      { metricName: `${this.name}_sum`, labels, value: sum },
      { metricName: `${this.name}_count`, labels, value: count },
    ]
  }
}

/** Observed values in buckets. */
export class Distribution {
  count = 0
  sum = 0
  readonly #bounds: readonly number[]
  /** Number of values in each bucket, not cumulative. */
  readonly #within: number[]

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds
    this.#within = bounds.map(() => 0)
  }

  observe(value: number): void {
    this.count++
    this.sum += value
    const bucket = this.#bounds.findIndex((bound) => value <= bound)
    if (bucket >= 0) this.#within[bucket] = (this.#within[bucket] ?? 0) + 1
  }

  /** Cumulative number of values up to each bound. */
  upTo(): number[] {
    let sum = 0
    return this.#within.map((count) => {
      sum += count
      return sum
    })
  }
}

/** Memoizes `make` by key, with a fast path for the most recent key, which usually repeats. */
export function perKey<Key, Made>(make: (key: Key) => Made): (key: Key) => Made {
  const made = new Map<Key, Made>()
  let lastKey: Key | undefined
  let last: Made | undefined
  return (key) => {
    if (key === lastKey && last !== undefined) return last
    const known = made.get(key)
    const found = known ?? make(key)
    if (known === undefined) made.set(key, found)
    lastKey = key
    last = found
    return found
  }
}

/** Memoizes `make` by provider type and model. */
export function perProvider<Made>(make: (labels: { provider_type: string; model_name: string }) => Made) {
  return perKey((provider_type: string) =>
    perKey((model_name: string) => make({ provider_type, model_name })),
  )
}
