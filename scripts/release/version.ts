import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** The next version: "major", "minor" and "patch" increment the current one; anything else is the version itself. */
export function nextVersion(current: string, wanted: string): string {
  const [major, minor, patch] = numbersOf(current)
  if (wanted === 'major') return `${major + 1}.0.0`
  if (wanted === 'minor') return `${major}.${minor + 1}.0`
  if (wanted === 'patch') return `${major}.${minor}.${patch + 1}`
  const next = numbersOf(wanted)
  const difference = next[0] - major || next[1] - minor || next[2] - patch
  if (difference <= 0) throw new Error(`version ${wanted} is not newer than ${current}`)
  return wanted
}

function numbersOf(version: string): [major: number, minor: number, patch: number] {
  const match = /^(\d+)\.(\d+)\.(\d+)$/.exec(version)
  if (!match) throw new Error(`"${version}" is not a version such as 1.2.3, nor major, minor or patch`)
  return [Number(match[1]), Number(match[2]), Number(match[3])]
}

/** Writes the version into every file of the repository that names it. The docs name it in commands to install a release. */
export function writeVersion(root: string, current: string, next: string, pages: readonly string[]): void {
  const replace = (file: string, pattern: RegExp, text: string): void => {
    const path = join(root, file)
    const before = readFileSync(path, 'utf8')
    if (!pattern.test(before)) throw new Error(`${file} does not name version ${current}`)
    writeFileSync(path, before.replace(pattern, text))
  }
  const version = current.replaceAll('.', '\\.')
  replace('package.json', new RegExp(`("version": ")${version}"`), `$1${next}"`)
  // The lock file's own version and that of its first package, which is the router.
  const locked = new RegExp(`^(\\{\\s*"name": "llm-router",\\s*"version": ")${version}`)
  replace('package-lock.json', locked, `$1${next}`)
  const packages = new RegExp(`("": \\{\\s*"name": "llm-router",\\s*"version": ")${version}`)
  replace('package-lock.json', packages, `$1${next}`)
  const chart = 'deploy/helm/llm-router/Chart.yaml'
  replace(chart, new RegExp(`^version: ${version}$`, 'm'), `version: ${next}`)
  replace(chart, new RegExp(`^appVersion: "${version}"$`, 'm'), `appVersion: "${next}"`)
  for (const page of pages) {
    const path = join(root, page)
    const text = readFileSync(path, 'utf8')
    writeFileSync(
      path,
      text.replaceAll(new RegExp(`(llm-router(?:-chart)?[-:@]|/download/v)${version}`, 'g'), `$1${next}`),
    )
  }
}
