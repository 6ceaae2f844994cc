import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join, relative } from 'node:path'
import type { Chunk } from '../../lib/vector-index/format.ts'
import { readers } from './sections.ts'
import { type ChunkSizes, splitText } from './split-text.ts'

/** Names of common file types that are not supported. */
const unsupportedTypes: Readonly<Record<string, string>> = {
  pdf: 'a PDF file',
  ...Object.fromEntries(['doc', 'docx', 'docm', 'dot', 'dotx'].map((ending) => [ending, 'a Word file'])),
  ...Object.fromEntries(['xls', 'xlsx', 'xlsm', 'xlsb'].map((ending) => [ending, 'an Excel file'])),
  ...Object.fromEntries(
    ['ppt', 'pptx', 'pptm', 'pps', 'ppsx'].map((ending) => [ending, 'a PowerPoint file']),
  ),
  ...Object.fromEntries(['odt', 'ods', 'odp', 'rtf'].map((ending) => [ending, 'an office document'])),
}

/** The first bytes of such files, to recognize them under any name. */
const signatures: readonly (readonly [string, string])[] = [
  ['%PDF-', 'a PDF file'],
  ['PK\u0003\u0004', 'an archive or an office document'],
  ['\u00d0\u00cf\u0011\u00e0', 'an office document'],
  ['{\\rtf', 'an office document'],
]

/** Larger files are skipped, in bytes. */
const maxBytes = 64 * 1024 * 1024

export interface Documents {
  readonly chunks: readonly Chunk[]
  readonly files: number
  /** Files that must be converted first, each with its type. */
  readonly unsupported: readonly string[]
  /** Files without text. */
  readonly skipped: readonly string[]
}

/** Reads the documents in a directory recursively and splits them into chunks. Hidden files are skipped. */
export function readDocuments(directory: string, sizes: ChunkSizes): Documents {
  const chunks: Chunk[] = []
  const unsupported: string[] = []
  const skipped: string[] = []
  let files = 0
  for (const path of pathsIn(directory)) {
    const source = relative(directory, path).replaceAll('\\', '/')
    const ending = /\.([^.]+)$/.exec(source)?.[1]?.toLowerCase() ?? ''
    const bytes = statSync(path).size > maxBytes ? undefined : readFileSync(path)
    const start = bytes?.toString('latin1', 0, 8) ?? ''
    const kind = unsupportedTypes[ending] ?? signatures.find(([begin]) => start.startsWith(begin))?.[1]
    const read = readers[ending]
    if (kind !== undefined && (read || unsupportedTypes[ending] || ending === '')) {
      unsupported.push(`${source}: ${kind} is not supported; convert it to text, Markdown or HTML`)
    } else if (!read || !bytes) skipped.push(source)
    else {
      const text = textOf(bytes)
      if (text === undefined) {
        skipped.push(source)
        continue
      }
      files++
      for (const section of read(text))
        for (const part of splitText(section.text, sizes))
          chunks.push({ text: part, source, title: section.title })
    }
  }
  return { chunks, files, unsupported, skipped }
}

function pathsIn(directory: string): string[] {
  const entries = readdirSync(directory, { withFileTypes: true }).toSorted((a, b) =>
    a.name < b.name ? -1 : 1,
  )
  return entries.flatMap((entry) => {
    if (entry.name.startsWith('.')) return []
    const path = join(directory, entry.name)
    if (entry.isDirectory()) return pathsIn(path)
    return entry.isFile() || (entry.isSymbolicLink() && statSync(path).isFile()) ? [path] : []
  })
}

/** Decodes UTF-8, UTF-16 with a byte order mark, or Windows-1250, which is common for Polish; undefined for binary data. */
function textOf(bytes: Buffer): string | undefined {
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return new TextDecoder('utf-16le').decode(bytes)
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return new TextDecoder('utf-16be').decode(bytes)
  if (bytes.includes(0)) return undefined
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    return new TextDecoder('windows-1250').decode(bytes)
  }
}
