/**
 * Makes a release: version, changelog, commit, tag, package, chart, bill of materials, checksums; then publishes the package.
 * Everything is built in a clone of the last commit, so that nothing else is included and a failure does not change the checkout.
 */
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { makeArtifacts } from './release/artifacts.ts'
import { released, unreleased } from './release/changelog.ts'
import { run } from './release/run.ts'
import { nextVersion, writeVersion } from './release/version.ts'

const usage = `npm run release -- [VERSION | major | minor | patch] [options]

Without a version the CHANGELOG decides: major with "Removed", minor with "Added" or "Changed", else patch.
  --dry-run     makes all files and changes nothing else: no commit, no tag, nothing published
  --no-publish  leaves publishing to the workflow that a pushed tag starts
  --tagged      publishes the version whose tag is checked out; for that workflow
  --out DIR     directory of the files; release/VERSION unless given
LLM_ROUTER_NPM_SCOPE is the npm scope to publish under, such as @acme.
`
const root = dirname(import.meta.dirname)
const git = (cwd: string, ...args: string[]): string => run('git', args, { cwd })

try {
  release()
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n`)
  process.exitCode = 1
}

function release(): void {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      'dry-run': { type: 'boolean', default: false },
      'no-publish': { type: 'boolean', default: false },
      tagged: { type: 'boolean', default: false },
      out: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help) {
    process.stdout.write(usage)
    return
  }
  const { 'dry-run': isDry, tagged } = values
  const scope = scopeOf(process.env.LLM_ROUTER_NPM_SCOPE)
  const isClean = git(root, 'status', '--porcelain') === ''
  if (!isClean && !isDry) throw new Error('there are changes that are not committed: see git status')
  if (!isClean) say('Changes that are not committed are left out.')
  const clone = mkdtempSync(join(tmpdir(), 'llm-router-release-'))
  try {
    cloneInto(clone)
    const version = tagged ? taggedVersion(clone) : commitRelease(clone, positionals[0])
    const out = resolve(values.out ?? join(root, 'release', version))
    const published = makeArtifacts({ root: clone, out, version, scope, repository: repository() })
    say(`The files of ${version} are in ${out}`)
    const publish = ['publish', join(out, published), ...(isProvable() ? ['--provenance'] : [])]
    if (isDry) {
      say(`Dry run: no commit, no tag, nothing published. It would run: npm ${publish.join(' ')}`)
      return
    }
    if (!tagged) {
      git(root, 'fetch', '--quiet', clone, 'HEAD', `refs/tags/v${version}:refs/tags/v${version}`)
      git(root, 'merge', '--quiet', '--ff-only', 'FETCH_HEAD')
      say(`Committed and tagged v${version}. To share it: git push --follow-tags`)
    }
    if (values['no-publish']) return
    run('npm', publish, { cwd: root })
    say(`Published ${scope}/llm-router ${version}`)
  } finally {
    rmSync(clone, { recursive: true })
  }
}

function scopeOf(scope = ''): string {
  if (!/^@?[a-z0-9~-][a-z0-9._~-]*$/.test(scope))
    throw new Error(
      scope === ''
        ? 'LLM_ROUTER_NPM_SCOPE is not set. The name llm-router belongs to somebody else on npm: name a scope of yours, such as @acme.'
        : `LLM_ROUTER_NPM_SCOPE: "${scope}" is not a scope such as @acme`,
    )
  return scope.startsWith('@') ? scope : `@${scope}`
}

function cloneInto(clone: string): void {
  git(root, 'clone', '--quiet', root, clone)
  symlinkSync(join(root, 'node_modules'), join(clone, 'node_modules'))
  // The .gitignore pattern matches only a directory.
  writeFileSync(join(clone, '.git/info/exclude'), '/node_modules\n')
}

/** Commits and tags the next version in the clone, and returns it. */
function commitRelease(clone: string, wanted: string | undefined): string {
  const { version: current }: { version: string } = JSON.parse(
    readFileSync(join(clone, 'package.json'), 'utf8'),
  )
  const path = join(clone, 'CHANGELOG.md')
  const changelog = readFileSync(path, 'utf8')
  const { level } = unreleased(changelog)
  const version = nextVersion(current, wanted ?? level)
  writeFileSync(path, released(changelog, version, new Date().toISOString().slice(0, 10)))
  const pages = git(clone, 'ls-files', 'README.md', 'docs/*.md', 'deploy/systemd').split('\n')
  writeVersion(clone, current, version, pages)
  const identity = ['user.name', 'user.email'].flatMap((name) => {
    const value = git(root, 'config', '--default', '', name)
    return value === '' ? [] : ['-c', `${name}=${value}`]
  })
  git(clone, ...identity, 'commit', '--quiet', '--all', '--message', `chore: release ${version}`)
  git(clone, ...identity, 'tag', '--annotate', `v${version}`, '--message', `llm-router ${version}`)
  say(`Version ${version} follows ${current}: commit "chore: release ${version}", tag v${version}`)
  return version
}

/** The version of the checked-out tag, which must equal the version in the files. */
function taggedVersion(clone: string): string {
  const { version }: { version: string } = JSON.parse(readFileSync(join(clone, 'package.json'), 'utf8'))
  const tags = git(root, 'tag', '--points-at', 'HEAD').split('\n')
  if (!tags.includes(`v${version}`)) throw new Error(`the checked out commit has no tag v${version}`)
  return version
}

/** The repository in which the workflow runs, as named by npm's provenance. */
function repository(): string | undefined {
  const { GITHUB_SERVER_URL: server, GITHUB_REPOSITORY: name } = process.env
  return server !== undefined && name !== undefined ? `${server}/${name}` : undefined
}

/** npm proves the origin of a package with the identity of the workflow that publishes it. */
function isProvable(): boolean {
  return process.env.ACTIONS_ID_TOKEN_REQUEST_URL !== undefined
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}
