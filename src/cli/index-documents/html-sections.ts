import { Parser } from 'htmlparser2'
import { type Section, titleOf } from './section.ts'

/** Elements that are invisible or not part of the main content. */
const ignored = new Set(['script', 'style', 'template', 'noscript', 'svg', 'nav', 'head'])
const breaks = new Set(
  'p div section article main header footer li ul ol tr table blockquote pre br hr dt dd'.split(' '),
)

/** Splits a page at headings. The title of a section begins with that of the page. */
export function sectionsOfHtml(html: string): Section[] {
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
