import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

export const root = join(import.meta.dirname, '../..')

/** The pages for users, by their path in the repository. */
export const pages: readonly string[] = [
  'README.md',
  ...readdirSync(join(root, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .toSorted()
    .map((name) => `docs/${name}`),
]

export interface Block {
  page: string
  /** The line number of its first line of text, from 1. */
  line: number
  /** The info string after the opening fence; empty if there is none. */
  language: string
  text: string
}

/** The fenced code blocks of a page, including those within lists, without their indentation. */
export function blocksOf(page: string): Block[] {
  const blocks: Block[] = []
  let open: (Block & { indent: string; lines: string[] }) | undefined
  for (const [index, line] of readFileSync(join(root, page), 'utf8').split('\n').entries()) {
    const [, indent = '', language = ''] = /^(\s*)```(\S*)/.exec(line) ?? []
    if (!/^\s*```/.test(line))
      open?.lines.push(line.startsWith(open.indent) ? line.slice(open.indent.length) : line)
    else if (!open) open = { page, line: index + 2, language, text: '', indent, lines: [] }
    else {
      blocks.push({ page, line: open.line, language: open.language, text: `${open.lines.join('\n')}\n` })
      open = undefined
    }
  }
  if (open) throw new Error(`${page}:${open.line}: a block without an end`)
  return blocks
}

/** The commands of a shell block: a line that ends with a backslash continues on the next one. */
export function commandsOf(block: Block): string[] {
  return block.text
    .replaceAll(/\\\n/g, ' ')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
}

/** The program of a command, after any variable assignments. */
export function programOf(command: string): string {
  return /^(?:\w+=\S*\s+)*(\S+)/.exec(command)?.[1] ?? ''
}
