import { mkdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { loadConfig } from '../../config/settings/settings.ts'
import { IndexError } from '../../lib/vector-index/format.ts'
import { IndexWriter } from '../../lib/vector-index/write.ts'
import type { Command } from '../command-line.ts'
import { routerAddress } from '../healthcheck.ts'
import { usageOf } from '../help.ts'
import { readDocuments } from './documents.ts'
import { embedTexts } from './embed-texts.ts'

/** Texts per embedding request. */
const batchSize = 32
/** Interval of progress messages, in chunks. */
const progressInterval = 1_024

/** `index DIR --name N`: indexes the documents in a directory, with embeddings from a running router. */
export const indexDocuments: Command = async ([directory, ...more], context) => {
  const { env, flags, print, printError, program } = context
  const { config } = loadConfig(env)
  const model = flags.model ?? config.ragEmbedder
  const name = flags.name ?? config.ragCollection
  if (directory === undefined || more.length > 0 || name === '' || model === '') {
    printError(usageOf('index', program) ?? '')
    return 2
  }
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(name)) {
    printError('--name: up to 64 letters, digits, dots, hyphens and underscores\n')
    return 2
  }
  if (!isDirectory(directory)) {
    printError(`${directory}: no such directory\n`)
    return 2
  }
  const url = routerAddress(context)
  const documents = readDocuments(directory, { size: config.ragChunkSize, overlap: config.ragChunkOverlap })
  for (const text of documents.unsupported) printError(`${text}\n`)
  for (const file of documents.skipped) printError(`${file}: skipped, it is not text, Markdown or HTML\n`)
  if (documents.unsupported.length > 0 && !flags.force) {
    printError('no index was written; with --force the other files are indexed\n')
    return 1
  }
  const { chunks, files } = documents
  const router = { url, key: config.indexKey, model }
  const path = join(config.indexDir, `${name}.index`)
  let writer: IndexWriter | undefined
  try {
    mkdirSync(config.indexDir, { recursive: true })
    writer = new IndexWriter(path, { name, model, chunks: chunks.length })
    for (let at = 0; at < chunks.length; at += batchSize) {
      const batch = chunks.slice(at, at + batchSize)
      const texts = batch.map(({ title, text }) => (title === '' ? text : `${title}\n${text}`))
      const vectors = await embedTexts(router, texts)
      for (const [index, chunk] of batch.entries()) writer.add(chunk, vectors[index] ?? new Float32Array())
      if (at > 0 && at % progressInterval === 0) printError(`${at} of ${chunks.length} chunks\n`)
    }
    const { dimension } = writer.finish(new Date())
    print(`${path}: ${chunks.length} chunks of ${files} files, ${model}, ${dimension} dimensions\n`)
    return 0
  } catch (error) {
    writer?.abort()
    if (!(error instanceof Error)) throw error
    printError(`${error instanceof IndexError ? `${directory}: ` : ''}${error.message}\n`)
    return 1
  }
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
}
