import { sectionsOfHtml } from './html-sections.ts'
import { type Section, titleOf } from './section.ts'

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
