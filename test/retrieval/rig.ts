import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { IndexWriter } from '../../src/lib/vector-index/write.ts'
import { vectorOf } from '../auto/rig.ts'

export interface Folder {
  readonly path: string
  /** Writes a file below the directory, with its parent directories. */
  write(name: string, content: string | Uint8Array): void
  remove(): void
}

export function tempFolder(): Folder {
  const path = mkdtempSync(join(tmpdir(), 'llm-router-retrieval-'))
  return {
    path,
    write(name, content) {
      const file = join(path, name)
      mkdirSync(dirname(file), { recursive: true })
      writeFileSync(file, content)
    },
    remove: () => rmSync(path, { recursive: true, force: true }),
  }
}

/** An index of these texts, with the vectors of the tests' embedding server. */
export function writeIndex(folder: string, name: string, texts: readonly string[], model = 'e'): void {
  const writer = new IndexWriter(join(folder, `${name}.index`), { name, model, chunks: texts.length })
  for (const [index, text] of texts.entries())
    writer.add({ text, source: `doc${index}.md`, title: `Part ${index}` }, Float32Array.from(vectorOf(text)))
  writer.finish(new Date())
}
