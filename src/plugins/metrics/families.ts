import type { FastifyInstance } from 'fastify'
import { EventLoopBudget } from '../../lib/yield-to-event-loop.ts'

type Labels<Name extends string> = Readonly<Record<Name, string | number>>
type Client = FastifyInstance['metrics']['client']

interface Description<Label extends string> {
  name: string
  help: string
  labelNames: readonly Label[]
}

/** What the registry writes of a metric; `metricName` where it is not the family's. */
interface Sample {
  labels: Labels<string>
  value: number
  metricName?: string
}

/**
 * Counters and histograms whose series are counted in place. Those of the library make a key out of all labels for each
 * count, which cost a request more than its log line; here whoever counts keeps the series, and the registry asks for the
 * values when it writes them.
 */
export class Families {
  readonly #register: Client['register']

  constructor({ register }: Client) {
    this.#register = register
  }

  counter<Label extends string>(description: Description<Label>): CounterFamily<Label> {
    return this.#added(new CounterFamily(description))
  }

  /** `buckets`: their upper bounds, rising, without infinity. */
  histogram<Label extends string>(
    description: Description<Label> & { buckets: readonly number[] },
  ): HistogramFamily<Label> {
    return this.#added(new HistogramFamily(description))
  }

  /** What is read when it is asked for. `aggregator`: how the values of several processes become one. */
  gauge(description: GaugeDescription): void {
    this.#added(new GaugeFamily(description))
  }

  #added<Added extends object>(family: Added): Added {
    // Of a metric the registry needs its name and `get`; its type names the library's classes.
    this.#register.registerMetric(family as unknown as InstanceType<Client['Counter']>)
    return family
  }
}

/** All series of a metric, each once, whoever asks for it. */
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

  /** The form of prom-client's metrics; series that counted nothing so far are left out. */
  async get() {
    const { name, help, type, aggregator } = this
    const values: Sample[] = []
    const breath = new EventLoopBudget()
    // Those that are added meanwhile come at the end.
    for (const { labels, series } of this.#series.values()) {
      for (const sample of this.samples(series, labels)) values.push(sample)
      await breath.take()
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
    const breath = new EventLoopBudget()
    for (const sample of this.#read()) {
      values.push(sample)
      await breath.take()
    }
    return { name, help, type, aggregator, values }
  }
}

/** How often something has happened, or how much of it. */
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

/** What was measured, in buckets. */
export class Distribution {
  count = 0
  sum = 0
  readonly #bounds: readonly number[]
  /** How much was in each bucket alone. */
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

  /** How much was not above each bound. */
  upTo(): number[] {
    let sum = 0
    return this.#within.map((count) => {
      sum += count
      return sum
    })
  }
}

/** Makes something once for each key. What was asked for last is at hand: mostly that is what is asked for next. */
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

/** Makes something once for each model on each type of provider. */
export function perProvider<Made>(make: (labels: { provider_type: string; model_name: string }) => Made) {
  return perKey((provider_type: string) =>
    perKey((model_name: string) => make({ provider_type, model_name })),
  )
}
