import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Block, blocksOf, root } from '../docs/blocks.ts'

const page = 'docs/clients.md'

/** The blocks under a heading of docs/clients.md, in one language. */
export function sectionBlocks(heading: string, language: string): Block[] {
  const lines = readFileSync(join(root, page), 'utf8').split('\n')
  const from = lines.indexOf(`## ${heading}`)
  if (from === -1) throw new Error(`${page} has no section ${heading}`)
  const rest = lines.findIndex((line, index) => index > from && line.startsWith('## '))
  const to = rest === -1 ? lines.length : rest
  return blocksOf(page).filter((block) => block.language === language && block.line > from && block.line < to)
}

/** The only block under a heading in this language, for a router at this address. */
export function sectionText(heading: string, language: string, routerUrl: string): string {
  const [block] = sectionBlocks(heading, language)
  if (!block) throw new Error(`${page}: the section ${heading} has no ${language} block`)
  return block.text.replaceAll('http://127.0.0.1:8080', routerUrl)
}
