const heading = '## [Unreleased]'

/** The contents of the next release according to the CHANGELOG: its lines, and the part of the version to increment. */
export interface Unreleased {
  readonly notes: string
  readonly level: 'major' | 'minor' | 'patch'
}

/** Reads the section of unreleased changes. */
export function unreleased(changelog: string): Unreleased {
  const start = changelog.indexOf(`${heading}\n`)
  if (start === -1) throw new Error(`CHANGELOG.md has no "${heading}"`)
  const rest = changelog.slice(start + heading.length)
  const end = rest.search(/^## /m)
  const notes = (end === -1 ? rest : rest.slice(0, end)).trim()
  if (notes === '') throw new Error('CHANGELOG.md lists nothing unreleased')
  const parts = [...notes.matchAll(/^### (.*)$/gm)].map(([, part]) => part)
  if (parts.includes('Removed')) return { notes, level: 'major' }
  return { notes, level: parts.some((part) => part === 'Added' || part === 'Changed') ? 'minor' : 'patch' }
}

/** The same file with that section as the section of a release. */
export function released(changelog: string, version: string, date: string): string {
  if (changelog.includes(`## [${version}]`)) throw new Error(`CHANGELOG.md has a section ${version} already`)
  return changelog.replace(`${heading}\n`, `${heading}\n\n## [${version}] - ${date}\n`)
}

/** The section of one release. */
export function notesOf(changelog: string, version: string): string {
  const start = changelog.indexOf(`## [${version}]`)
  if (start === -1) throw new Error(`CHANGELOG.md has no section ${version}`)
  const rest = changelog.slice(changelog.indexOf('\n', start) + 1)
  const end = rest.search(/^## /m)
  return `${(end === -1 ? rest : rest.slice(0, end)).trim()}\n`
}
