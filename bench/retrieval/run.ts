/**
 * Time of an exact search in an index, by the number of its chunks and the length of its vectors: processor time, which other
 * load on the machine does not change, and elapsed time.
 *
 *     node bench/retrieval/run.ts [pieces...]
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SearchedIndex } from '../../src/lib/vector-index/search.ts'
import { IndexWriter } from '../../src/lib/vector-index/write.ts'
import { seededRandom } from '../support/seeded-random.ts'

const sizes = process.argv.slice(2).map(Number)
const dimensions = [384, 1_024]
const searches = 7

const folder = mkdtempSync(join(tmpdir(), 'llm-router-bench-'))
const random = seededRandom(1)
const vectorOf = (dimension: number): Float32Array =>
  Float32Array.from({ length: dimension }, () => random() - 0.5)

try {
  console.log('pieces  dimension  file MB  CPU ms  wall ms')
  for (const chunks of sizes.length > 0 ? sizes : [10_000, 50_000, 200_000])
    for (const dimension of dimensions) {
      const path = join(folder, 'bench.index')
      const writer = new IndexWriter(path, { name: 'bench', model: 'm', chunks })
      const text = 'A piece of text. '.repeat(40)
      const base = vectorOf(dimension)
      for (let index = 0; index < chunks; index++) {
        // A vector changed in a few dimensions is a different vector, and cheap to make.
        for (let changed = 0; changed < 8; changed++) base[Math.floor(random() * dimension)] = random() - 0.5
        writer.add({ text, source: `${index}.md`, title: '' }, base)
      }
      writer.finish(new Date())
      const index = new SearchedIndex(path, 'm')
      index.refresh()
      const times: { cpu: number; wall: number }[] = []
      for (let search = 0; search < searches; search++) {
        const question = vectorOf(dimension)
        const since = performance.now()
        const before = process.cpuUsage()
        index.search(question, 5)
        const { user, system } = process.cpuUsage(before)
        times.push({ cpu: (user + system) / 1000, wall: performance.now() - since })
      }
      index.close()
      const median = (of: 'cpu' | 'wall'): string =>
        (times.map((time) => time[of]).toSorted((a, b) => a - b)[Math.floor(searches / 2)] ?? 0).toFixed(0)
      const megabytes = ((chunks * dimension * 4) / 1e6).toFixed(0)
      console.log(
        [chunks, dimension, megabytes, median('cpu'), median('wall')]
          .map((cell, column) => String(cell).padStart([6, 9, 7, 6, 7][column] ?? 0))
          .join('  '),
      )
    }
} finally {
  rmSync(folder, { recursive: true, force: true })
}
