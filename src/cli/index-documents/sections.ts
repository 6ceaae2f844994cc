/** A part of a document with the headings above it. */
export interface Section {
  readonly title: string
  readonly text: string
}

/** Kinds of documents that are read, by the ending of their names. */
export const readers: Readonly<Record<string, (text: string) => Section[]>> = {
  txt: sectionsOfText,
  text: sectionsOfText,
  log: sectionsOfText,
  rst: sectionsOfText,
  md: sectionsOfMarkdown,
  markdown: sectionsOfMarkdown,
  html: sectionsOfHtml,
  htm: sectionsOfHtml,
}

function sectionsOfText(text: string): Section[] {
  return [{ title: '', text: text.replaceAll('\r\n', '\n') }]
}

/** Cut at headings; a fenced block may hold lines that look like them. */
function sectionsOfMarkdown(text: string): Section[] {
  const sections: { title: string; lines: string[] }[] = [{ title: '', lines: [] }]
  const path: string[] = []
  let fence: string | undefined
  for (const line of withoutFrontMatter(text.replaceAll('\r\n', '\n')).split('\n')) {
    const mark = /^\s{0,3}(```+|~~~+)/.exec(line)?.[1]
    if (mark !== undefined) {
      if (fence === undefined) fence = mark
      else if (mark.startsWith(fence)) fence = undefined
    }
    const heading = fence === undefined ? /^(#{1,6})\s+(.+?)\s*#*\s*$/.exec(line) : null
    if (heading) {
      const [, marks = '', words = ''] = heading
      path.splice(marks.length - 1)
      path[marks.length - 1] = words
      sections.push({ title: titleOf(path), lines: [] })
    } else sections.at(-1)?.lines.push(line)
  }
  return sections.map(({ title, lines }) => ({ title, text: lines.join('\n') }))
}

function withoutFrontMatter(text: string): string {
  return text.replace(/^---\n.*?\n---\n/s, '')
}

const entities: Readonly<Record<string, string>> = {
  ...{ amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", nbsp: ' ', ndash: '–', mdash: '—', hellip: '…' },
  ...{ laquo: '«', raquo: '»', bdquo: '„', ldquo: '“', rdquo: '”', lsquo: '‘', rsquo: '’', euro: '€' },
  ...{ copy: '©', reg: '®', trade: '™', deg: '°', middot: '·', bull: '•', times: '×', shy: '' },
}

/** Elements whose text nobody reads on the page, or that surround what the page is about. */
const unread = /<(script|style|template|noscript|svg|nav|head|title)\b[^>]*>[\s\S]*?<\/\1\s*>/gi
const breaks =
  /<\/?(?:p|div|section|article|main|header|footer|li|ul|ol|tr|table|blockquote|pre|br|hr|dt|dd)\b[^>]*>/gi

function sectionsOfHtml(html: string): Section[] {
  const [, title = ''] = /<title[^>]*>([\s\S]*?)<\/title>/i.exec(html) ?? []
  const body = html.replaceAll(/<!--[\s\S]*?-->/g, '').replaceAll(unread, ' ')
  const pieces = body.split(/<h([1-6])\b[^>]*>([\s\S]*?)<\/h\1\s*>/gi)
  const page = plain(title)
  const path: string[] = []
  const named = (): string => titleOf(page === '' || path.includes(page) ? path : [page, ...path])
  const sections: Section[] = [{ title: page, text: plain(pieces[0] ?? '') }]
  for (let at = 1; at + 2 < pieces.length; at += 3) {
    const level = Number(pieces[at])
    path.splice(level - 1)
    path[level - 1] = plain(pieces[at + 1] ?? '')
    sections.push({ title: named(), text: plain(pieces[at + 2] ?? '') })
  }
  return sections
}

function plain(html: string): string {
  return html
    .replaceAll(/\s+/g, ' ')
    .replaceAll(breaks, '\n')
    .replaceAll(/<[^>]*>/g, '')
    .replaceAll(/&(?:#(\d+)|#x([0-9a-f]+)|(\w+));/gi, characterOf)
    .replaceAll(/ *\n */g, '\n')
    .replaceAll(/\n{2,}/g, '\n\n')
    .trim()
}

function characterOf(whole: string, decimal?: string, hex?: string, name?: string): string {
  if (name !== undefined) return entities[name.toLowerCase()] ?? whole
  const code = decimal === undefined ? Number.parseInt(hex ?? '', 16) : Number(decimal)
  return code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : whole
}

function titleOf(path: readonly string[]): string {
  return path.filter((part) => part).join(' > ')
}
