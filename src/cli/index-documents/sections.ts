import { Parser } from 'htmlparser2'

/** A part of a document with the headings above it. */
export interface Section {
  readonly title: string
  readonly text: string
}

/** Readers of the supported documents, by file name extension. */
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

/** Splits at headings; fenced blocks may contain lines that look like headings. */
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
    const heading = fence === undefined ? /^(#{1,6})\s(.*)$/.exec(line) : null
    const words = withoutClosingMarks(heading?.[2] ?? '')
    if (heading && words !== '') {
      const [, marks = ''] = heading
      path.splice(marks.length - 1)
      path[marks.length - 1] = words
      sections.push({ title: titleOf(path), lines: [] })
    } else sections.at(-1)?.lines.push(line)
  }
  return sections.map(({ title, lines }) => ({ title, text: lines.join('\n') }))
}

/** `## Title ##` is the same heading as `## Title`. */
function withoutClosingMarks(heading: string): string {
  const words = heading.trim()
  let end = words.length
  while (words.endsWith('#', end)) end--
  return words.slice(0, end).trimEnd()
}

function withoutFrontMatter(text: string): string {
  return text.replace(/^---\n.*?\n---\n/s, '')
}

/** Elements that are invisible or not part of the main content. */
const ignored = new Set(['script', 'style', 'template', 'noscript', 'svg', 'nav', 'head'])
const breaks = new Set(
  'p div section article main header footer li ul ol tr table blockquote pre br hr dt dd'.split(' '),
)

/** Splits a page at headings. The title of a section begins with that of the page. */
function sectionsOfHtml(html: string): Section[] {
  const sections: { path: string[]; text: string }[] = [{ path: [], text: '' }]
  const path: string[] = []
  let page = ''
  let heading: string | undefined
  let isTitle = false
  let ignoredDepth = 0
  const add = (text: string): void => {
    const last = sections.at(-1)
    if (isTitle) page += text
    else if (ignoredDepth > 0 || !last) return
    else if (heading !== undefined) heading += text
    else last.text += text
  }
  const parser = new Parser({
    onopentag(name) {
      if (name === 'title') isTitle = true
      if (ignored.has(name)) ignoredDepth++
      else if (/^h[1-6]$/.test(name)) heading = ''
      else if (breaks.has(name)) add('\n')
    },
    ontext: (text) => add(text.replaceAll(/\s/g, ' ')),
    onclosetag(name, isImplied) {
      if (name === 'title') isTitle = false
      if (ignored.has(name)) ignoredDepth--
      else if (/^h[1-6]$/.test(name) && heading !== undefined) {
        const level = Number(name[1])
        path.splice(level - 1)
        path[level - 1] = plain(heading)
        heading = undefined
        sections.push({ path: [...path], text: '' })
      } else if (breaks.has(name) && !isImplied) add('\n')
    },
  })
  parser.end(html)
  const title = plain(page)
  return sections.map(({ path: above, text }) => ({
    title: titleOf(title === '' || above.includes(title) ? above : [title, ...above]),
    text: plain(text),
  }))
}

/** Collapses white space: at most one blank line between paragraphs and one space between words. */
function plain(text: string): string {
  const lines = text.split('\n').map((line) => line.trim().replaceAll(/ +/g, ' '))
  return lines
    .join('\n')
    .replaceAll(/\n{2,}/g, '\n\n')
    .trim()
}

/** Joins headings, outermost first, to the title of a section. */
function titleOf(path: readonly string[]): string {
  return path.filter((part) => part).join(' > ')
}
