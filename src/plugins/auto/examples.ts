/** The most similar example. */
export interface Nearest {
  readonly model: string
  /** Cosine similarity, -1 to 1. */
  readonly similarity: number
  /** Index among the examples of its model. */
  readonly example: number
}

interface EmbeddedExample {
  readonly model: string
  readonly example: number
  readonly vector: Float32Array
}

type Embed = (texts: readonly string[]) => Promise<Float32Array[]>

/** Example prompts and their embeddings, which are computed on first use. */
export class Examples {
  readonly #texts: readonly { model: string; example: number; text: string }[]
  #vectors: Promise<readonly EmbeddedExample[]> | undefined

  constructor(examples: Readonly<Record<string, readonly string[]>>) {
    this.#texts = Object.entries(examples).flatMap(([model, texts]) =>
      texts.map((text, example) => ({ model, example, text })),
    )
  }

  get size(): number {
    return this.#texts.length
  }

  /** Computes the embeddings once, with the `embed` of the first caller. After a failure, the next call retries. */
  async ready(embed: Embed): Promise<void> {
    this.#vectors ??= this.#embedded(embed)
    try {
      await this.#vectors
    } catch (error) {
      this.#vectors = undefined
      throw error
    }
  }

  /** The most similar example of these models; undefined if they have none. Requires `ready`. */
  async nearest(vector: Float32Array, models: ReadonlySet<string>): Promise<Nearest | undefined> {
    let best: Nearest | undefined
    for (const known of (await this.#vectors) ?? []) {
      if (!models.has(known.model)) continue
      const similarity = cosine(vector, known.vector)
      if (similarity > (best?.similarity ?? Number.NEGATIVE_INFINITY))
        best = { model: known.model, example: known.example, similarity }
    }
    return best
  }

  async #embedded(embed: Embed): Promise<readonly EmbeddedExample[]> {
    const vectors = await embed(this.#texts.map(({ text }) => text))
    return this.#texts.flatMap(({ model, example }, index): EmbeddedExample[] => {
      const vector = vectors[index]
      return vector ? [{ model, example, vector }] : []
    })
  }
}

/** Vectors of different lengths come from different models and are not comparable. */
function cosine(a: Float32Array, b: Float32Array): number {
  if (a.length !== b.length) return -1
  let [dot, ofA, ofB] = [0, 0, 0]
  for (let index = 0; index < a.length; index++) {
    const [x = 0, y = 0] = [a[index], b[index]]
    dot += x * y
    ofA += x * x
    ofB += y * y
  }
  return ofA === 0 || ofB === 0 ? 0 : dot / Math.sqrt(ofA * ofB)
}
