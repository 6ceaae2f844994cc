import { readFileSync, writeFileSync } from 'node:fs'

/** Writes the text between the comments `<!-- name -->` and `<!-- /name -->` of a Markdown file. Both comments must exist. */
export function writeBetween(file: string, name: string, text: string): void {
  const page = readFileSync(file, 'utf8')
  const [open, close] = [`<!-- ${name} -->`, `<!-- /${name} -->`]
  const from = page.indexOf(open)
  const to = page.indexOf(close, from)
  if (from === -1 || to === -1) throw new Error(`${file} has no comments for "${name}"`)
  writeFileSync(file, `${page.slice(0, from + open.length)}\n\n${text.trim()}\n\n${page.slice(to)}`)
}
