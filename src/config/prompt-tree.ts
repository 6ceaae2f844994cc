import { readdir, readFile, realpath, stat } from 'node:fs/promises'
import { join } from 'node:path'

/** A snapshot of the prompt files in a directory. */
export interface PromptTree {
  /** Trimmed text by id: the relative path of the file with `/`, without `.prompt`. Blank files are omitted. */
  texts: Map<string, string>
  /** Errors, each with its relative path. */
  errors: string[]
}

const suffix = '.prompt'
const maxFileBytes = 1024 * 1024
/** Far more than any prompt library has: a misconfigured directory (`/`) must not delay the start. */
const maxEntries = 10_000

interface Walk extends PromptTree {
  directory: string
  entries: number
  onPath: (path: string) => void
}

/**
 * Reads every `*.prompt` file (UTF-8) below a directory; undefined if the directory does not exist. Never throws:
 * unreadable files are reported as errors, and the rest is read.
 *
 * Links are followed, and names that start with a dot are skipped: a Kubernetes volume keeps its files in
 * `..2025_01_31_12_00_00.123/`, links `..data` to that and each file to `..data` (Kubernetes source,
 * pkg/volume/util/atomic_writer.go).
 *
 * `onPath` is called with each directory and prompt file, by its path from `directory` including links.
 */
export async function readPromptTree(
  directory: string,
  onPath: (path: string) => void = () => {},
): Promise<PromptTree | undefined> {
  const walk: Walk = { directory, entries: 0, onPath, texts: new Map(), errors: [] }
  try {
    if (!(await stat(directory)).isDirectory()) return undefined
    await readFolder(walk, '', [])
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(codeOf(error))) return undefined
    walk.errors.push(`cannot be read (${codeOf(error)})`)
  }
  return { texts: walk.texts, errors: walk.errors }
}

async function readFolder(walk: Walk, prefix: string, above: readonly string[]): Promise<void> {
  const folder = await realpath(join(walk.directory, prefix))
  if (above.includes(folder)) return // a symlink to a parent directory
  walk.onPath(join(walk.directory, prefix))
  for (const name of (await readdir(folder)).sort()) {
    if (name.startsWith('.')) continue
    if (walk.entries++ === maxEntries)
      walk.errors.push(`contains more than ${maxEntries} files; the others are ignored`)
    if (walk.entries > maxEntries) return
    if (name.endsWith(suffix)) walk.onPath(join(walk.directory, prefix, name))
    try {
      await readEntry(walk, { folder, name, path: prefix + name, above })
    } catch (error) {
      // Dangling links are ignored, unless they are named like a prompt.
      if (codeOf(error) === 'ENOENT' && !name.endsWith(suffix)) continue
      walk.errors.push(`${prefix}${name}: cannot be read (${codeOf(error)})`)
    }
  }
}

interface Entry {
  folder: string
  name: string
  /** Relative to the directory of the walk. */
  path: string
  above: readonly string[]
}

async function readEntry(walk: Walk, { folder, name, path, above }: Entry): Promise<void> {
  const file = join(folder, name)
  const found = await stat(file)
  if (found.isDirectory()) return readFolder(walk, `${path}/`, [...above, folder])
  if (!found.isFile() || !name.endsWith(suffix) || name === suffix) return
  if (found.size > maxFileBytes) {
    walk.errors.push(`${path}: over ${maxFileBytes} bytes`)
    return
  }
  const text = textOf(await readFile(file))
  if (text === undefined) walk.errors.push(`${path}: not UTF-8`)
  else if (text !== '') walk.texts.set(path.slice(0, -suffix.length), text)
}

function textOf(bytes: Buffer): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes).trim()
  } catch {
    return undefined // not UTF-8, the only error of the decoder
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error)
}
