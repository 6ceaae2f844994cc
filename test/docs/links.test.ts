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
/** Pages about a folder, which name its files relative to it. */
const ofFolders = ['bench/README.md', 'test/README.md']
const documents = [...pages, 'CHANGELOG.md', ...ofFolders, ...forContributors]
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

test('every file and folder of the repository that a page names exists', () => {
  const code = 'src|test|scripts|bench'
  const templates = globSync('.github/**/*.md', { cwd: root })
  const contributors = new Set([...forContributors, ...ofFolders, ...templates, 'docs/architecture.md'])
  let count = 0
  for (const page of [...documents, ...templates].filter((name) => name !== 'CHANGELOG.md')) {
    // In a page for users, the other folders may be in an example.
    const folders = contributors.has(page) ? `${code}|bin|console|deploy|docs|resources` : code
    const named = new RegExp(`(?<![\\w./-])(?:${folders})/[\\w.*/-]*[\\w*]`, 'g')
    for (const [path] of textOf(page).matchAll(named)) {
      count++
      assert.ok(globSync(path, { cwd: root }).length > 0, `${page}: ${path}`)
    }
  }
  assert.ok(count > 200)
})

test('every file and folder that a page for contributors names in short exists', () => {
  const files = globSync('{src,test,bench,console,scripts,docs,deploy}/**', { cwd: root })
  const isKnown = (page: string, name: string): boolean =>
    globSync([name, join(dirname(page), name)], { cwd: root }).length > 0 ||
    files.some((path) => path.endsWith(`/${name.replace(/\/$/, '')}`))
  let count = 0
  for (const page of ['CONTRIBUTING.md', 'docs/architecture.md', 'docs/extending.md', ...ofFolders]) {
    const text = textOf(page).replaceAll(/^\s*```.*?^\s*```/gms, '')
    for (const [, name = ''] of text.matchAll(/`([\w*-][\w.*/-]*(?:\.ts|\.js|\/))`/g)) {
      if (/^(?:dist|coverage|release)\//.test(name)) continue // made by commands
      count++
      assert.ok(isKnown(page, name), `${page}: ${name}`)
    }
  }
  assert.ok(count > 100)
})

test('no table of a page is cut by an empty line', () => {
  for (const page of documents) {
    const text = textOf(page).replaceAll(/^\s*```.*?^\s*```/gms, '')
    // The first row of a table is followed by the line that says so.
    for (const [, row = ''] of text.matchAll(/\n\n(\|[^\n]*)\n(?!\|[-:| ]+\|\n)/g))
      assert.fail(`${page}: ${row}`)
  }
})

test('every helper that test/README.md names or imports is exported by that file', () => {
  const text = textOf('test/README.md')
  const inTables = text.matchAll(/((?:`\w+(?:\([^`]*\))?`(?:, )?)+)[^`|;]* in `([\w/-]+\.ts)`/g)
  const imported = text.matchAll(/import \{([^}]+)\} from '\.\.\/([\w/-]+\.ts)'/g)
  const exportsOf = (file: string): string => {
    const code = textOf(`test/${file}`)
    const [, other] = /^export \* from '\.\/(.+)'$/m.exec(code) ?? []
    return other === undefined ? code : code + textOf(`test/${join(dirname(file), other)}`)
  }
  let count = 0
  for (const [, names = '', file = ''] of [...inTables, ...imported]) {
    for (const [name] of names.replaceAll(/\([^`]*\)/g, '').matchAll(/\w+/g)) {
      count++
      assert.match(exportsOf(file), new RegExp(`^export .*\\b${name}\\b`, 'm'), `${file}: ${name}`)
    }
  }
  assert.ok(count >= 20)
})
