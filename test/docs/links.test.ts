import assert from 'node:assert/strict'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { test } from 'node:test'
import { pages, root } from './blocks.ts'

interface Link {
  page: string
  /** The page or file that it leads to, by its path in the repository. */
  to: string
  anchor: string | undefined
}

const textOf = (page: string) => readFileSync(join(root, page), 'utf8')

/** The links of a page that lead to something in the repository. Code is no link. */
function linksOf(page: string): Link[] {
  const text = textOf(page).replaceAll(/^\s*```.*?^\s*```/gms, '')
  return [...text.matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, target = '']) => {
    if (/^[a-z]+:/.test(target)) return []
    const [path = '', anchor] = target.split('#')
    const to = path === '' ? page : relative(root, join(root, dirname(page), path))
    return [{ page, to, anchor }]
  })
}

/** The anchors that GitHub makes of a page's headings. */
function anchorsOf(page: string): string[] {
  const headings = [...textOf(page).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) => heading)
  return headings.map((heading) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .trim()
      .replaceAll(' ', '-'),
  )
}

const forContributors = ['CONTRIBUTING.md', 'SECURITY.md', ...globSync('docs/decisions/*.md', { cwd: root })]
const documents = [...pages, 'CHANGELOG.md', 'bench/README.md', ...forContributors]
const links = documents.flatMap(linksOf)

test('every link between the pages leads somewhere, to the heading that it names', () => {
  assert.ok(links.length > 50)
  for (const { page, to, anchor } of links) {
    assert.ok(existsSync(join(root, to)), `${page}: ${to}`)
    if (anchor !== undefined) assert.ok(anchorsOf(to).includes(anchor), `${page}: ${to}#${anchor}`)
  }
})

test('every page is listed in the index, and the index in README.md', () => {
  const listed = new Set(linksOf('docs/README.md').map(({ to }) => to))
  const ofReadme = new Set(linksOf('README.md').map(({ to }) => to))
  assert.ok(ofReadme.has('docs/README.md'))
  for (const page of documents.filter((name) => !/README|decisions\/\d/.test(name)))
    assert.ok(listed.has(page) || ofReadme.has(page), page)
})

test('every decision is listed in their index', () => {
  const listed = new Set(linksOf('docs/decisions/README.md').map(({ to }) => to))
  for (const page of documents.filter((name) => /decisions\/\d/.test(name))) assert.ok(listed.has(page), page)
})

test('every source file and folder that a page names exists', () => {
  let named = 0
  for (const page of documents.filter((name) => name !== 'CHANGELOG.md')) {
    for (const [path] of textOf(page).matchAll(/\b(?:src|test|scripts|bench)\/[\w./-]*\w/g)) {
      named++
      assert.ok(existsSync(join(root, path)), `${page}: ${path}`)
    }
  }
  assert.ok(named > 100)
})

test('no table of a page is cut by an empty line', () => {
  for (const page of documents) {
    const text = textOf(page).replaceAll(/^\s*```.*?^\s*```/gms, '')
    // The first row of a table is followed by the line that says so.
    for (const [, row = ''] of text.matchAll(/\n\n(\|[^\n]*)\n(?!\|[-:| ]+\|\n)/g))
      assert.fail(`${page}: ${row}`)
  }
})
