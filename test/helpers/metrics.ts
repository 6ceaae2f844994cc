import assert from 'node:assert/strict'

/** The series of a text in the Prometheus format, keyed by name with labels as in the text. */
export class Series {
  readonly #values = new Map<string, number>()

  constructor(text: string) {
    for (const line of text.split('\n')) {
      if (line === '' || line.startsWith('#')) continue
      const at = line.lastIndexOf(' ')
      this.#values.set(line.slice(0, at), Number(line.slice(at + 1)))
    }
  }

  get names(): string[] {
    return [...this.#values.keys()]
  }

  /** The sum of the series of this metric that have these labels; 0 if there are none. */
  sum(name: string, labels: Record<string, string> = {}): number {
    let sum = 0
    for (const [series, value] of this.#values) {
      if (series !== name && !series.startsWith(`${name}{`)) continue
      const has = Object.entries(labels).every(([label, wanted]) => series.includes(`${label}="${wanted}"`))
      if (has) sum += value
    }
    return sum
  }
}

export async function scrape(url: string, headers: Record<string, string> = {}): Promise<Series> {
  const response = await fetch(`${url}/metrics`, { headers })
  const text = await response.text()
  assert.equal(response.status, 200, text)
  return new Series(text)
}
