import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  chmodSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { parse } from 'yaml'
import { released, unreleased } from '../../scripts/release/changelog.ts'
import { nextVersion } from '../../scripts/release/version.ts'
import { root } from '../helpers/child-env.ts'
import { copyOf, git } from './checkout.ts'
import { files, repository, stdout, unpack } from './dry-run.ts'

const folder = mkdtempSync(join(tmpdir(), 'llm-router-release-test-'))
after(() => rmSync(folder, { recursive: true, force: true }))

const { version: current } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))

test('a dry run creates the release files and changes nothing', () => {
  assert.match(stdout, /nothing published/)
  assert.equal(git(repository, 'status', '--porcelain'), '')
  assert.equal(git(repository, 'rev-list', '--count', 'HEAD'), '1')
  assert.equal(git(repository, 'tag'), '')
  assert.deepEqual(readdirSync(files).toSorted(), [
    'SHA256SUMS',
    'acme-llm-router-9.8.7.tgz',
    'index.yaml',
    'llm-router-9.8.7.tgz',
    'llm-router-chart-9.8.7.tgz',
    'notes.md',
    'sbom.cdx.json',
  ])
})

test('the checksums match the files', () => {
  const lines = readFileSync(join(files, 'SHA256SUMS'), 'utf8').trimEnd().split('\n')
  assert.equal(lines.length, readdirSync(files).length - 1)
  for (const line of lines) {
    const [sum, name = ''] = line.split('  ')
    assert.equal(
      sum,
      createHash('sha256')
        .update(readFileSync(join(files, name)))
        .digest('hex'),
      name,
    )
  }
})

test('only the scoped package can be published; both have the command and are under 3 MB', () => {
  for (const [file, name] of [
    ['llm-router-9.8.7.tgz', 'llm-router'],
    ['acme-llm-router-9.8.7.tgz', '@acme/llm-router'],
  ] as const) {
    const own = join(folder, file)
    unpack(own, join(files, file))
    const manifest = JSON.parse(readFileSync(join(own, 'package.json'), 'utf8'))
    assert.deepEqual([manifest.name, manifest.version], [name, '9.8.7'])
    assert.equal(manifest.private, name === 'llm-router' ? true : undefined)
    assert.deepEqual(manifest.bin, { 'llm-router': 'bin/llm-router.js' })
    for (const kind of ['devDependencies', 'optionalDependencies', 'scripts'])
      assert.equal(manifest[kind], undefined, kind)
    // npm compares it with the provenance.
    assert.equal(manifest.repository.url, 'git+https://github.example/acme/llm-router.git')
    const sizes = globSync('**/*', { cwd: own, withFileTypes: true }).filter((entry) => entry.isFile())
    const bytes = sizes.reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0)
    assert.ok(bytes < 3_000_000, `${bytes} bytes`)
  }
})

test('the chart, the bill of materials and the notes have the new version', () => {
  const { entries } = parse(readFileSync(join(files, 'index.yaml'), 'utf8'))
  const [{ version, appVersion, urls, digest }] = entries['llm-router']
  assert.deepEqual([version, appVersion], ['9.8.7', '9.8.7'])
  assert.deepEqual(urls, [
    'https://github.example/acme/llm-router/releases/download/v9.8.7/llm-router-chart-9.8.7.tgz',
  ])
  const chart = readFileSync(join(files, 'llm-router-chart-9.8.7.tgz'))
  assert.equal(digest, createHash('sha256').update(chart).digest('hex'))
  const { metadata } = JSON.parse(readFileSync(join(files, 'sbom.cdx.json'), 'utf8'))
  assert.equal(metadata.component.version, '9.8.7')
  const notes = readFileSync(join(files, 'notes.md'), 'utf8')
  assert.equal(notes.trim(), unreleased(readFileSync(join(root, 'CHANGELOG.md'), 'utf8')).notes)
})

test('the version is newer than the last one and matches the changes in the CHANGELOG', () => {
  assert.equal(nextVersion('1.2.3', 'patch'), '1.2.4')
  assert.equal(nextVersion('1.2.3', 'minor'), '1.3.0')
  assert.equal(nextVersion('1.2.3', 'major'), '2.0.0')
  assert.equal(nextVersion('1.2.3', '1.10.0'), '1.10.0')
  for (const wanted of ['1.2.3', '1.2.2', '0.9.0'])
    assert.throws(() => nextVersion('1.2.3', wanted), /not newer/)
  for (const wanted of ['v2.0.0', '2', 'huge'])
    assert.throws(() => nextVersion('1.2.3', wanted), /not a version/)
  const changelog = (...parts: string[]): string =>
    `# Changelog\n\n## [Unreleased]\n\n${parts.map((part) => `### ${part}\n- x\n`).join('\n')}\n## [1.2.3] - 2026-01-01\n\n### Removed\n`
  assert.equal(unreleased(changelog('Fixed', 'Security')).level, 'patch')
  assert.equal(unreleased(changelog('Fixed', 'Changed')).level, 'minor')
  assert.equal(unreleased(changelog('Added', 'Removed')).level, 'major')
  assert.throws(() => unreleased(changelog()), /nothing unreleased/)
  assert.throws(() => released(changelog('Fixed'), '1.2.3', '2026-02-02'), /already/)
})

describe('a release', () => {
  const own = join(folder, 'own')
  const log = join(folder, 'published.log')
  copyOf(repository, own)
  standIns()

  /** Stand-ins for npm and the compiler: the dry run above uses the real ones. */
  function standIns(): void {
    const programs = {
      npm: `case $1 in
pack) for last; do :; done; touch "$last/packed.tgz"; echo packed.tgz;;
publish) echo "$*" >>'${log}';;
*) echo '{}';;
esac`,
      'node_modules/.bin/tsc': 'mkdir -p dist && touch dist/index.d.ts dist/sdk.d.ts',
    }
    for (const [name, text] of Object.entries(programs)) {
      const path = join(name === 'npm' ? folder : own, name)
      mkdirSync(join(path, '..'), { recursive: true })
      writeFileSync(path, `#!/bin/sh\n${text}\n`)
      chmodSync(path, 0o755)
    }
  }

  function release(args: string[], env: Record<string, string> = { LLM_ROUTER_NPM_SCOPE: 'acme' }) {
    return spawnSync(process.execPath, ['scripts/release.ts', ...args], {
      cwd: own,
      encoding: 'utf8',
      env: { PATH: `${folder}:${process.env.PATH}`, ...env },
    })
  }

  test('is rejected without a scope, with an invalid scope and with uncommitted changes', () => {
    const without = release(['--dry-run'], {})
    assert.equal(without.status, 1)
    assert.match(without.stderr, /^LLM_ROUTER_NPM_SCOPE is not set\. .*@acme\.\n$/)
    assert.match(
      release([], { LLM_ROUTER_NPM_SCOPE: 'a/b' }).stderr,
      /^LLM_ROUTER_NPM_SCOPE: "a\/b" is not a scope/,
    )
    writeFileSync(join(own, 'draft.md'), '')
    const changed = release([])
    rmSync(join(own, 'draft.md'))
    assert.equal(changed.status, 1)
    assert.match(changed.stderr, /not committed/)
    assert.ok(!existsSync(log))
  })

  test('commits and tags the version in every file that names it, and publishes', () => {
    const { status, stderr } = release(['9.8.7'])
    assert.equal(status, 0, stderr)
    assert.equal(git(own, 'log', '-1', '--format=%s'), 'chore: release 9.8.7')
    assert.equal(git(own, 'describe', '--exact-match'), 'v9.8.7')
    assert.equal(git(own, 'status', '--porcelain'), '')
    const changed = git(own, 'diff', '--name-only', 'HEAD~').split('\n')
    for (const name of [
      'CHANGELOG.md',
      'package.json',
      'package-lock.json',
      'deploy/helm/llm-router/Chart.yaml',
    ])
      assert.ok(changed.includes(name), name)
    for (const name of changed.filter((file) => file.startsWith('docs/') || file === 'README.md')) {
      const escaped = current.replaceAll('.', '\\.')
      assert.doesNotMatch(readFileSync(join(own, name), 'utf8'), new RegExp(`llm-router[-:]${escaped}`), name)
    }
    assert.match(
      readFileSync(join(own, 'CHANGELOG.md'), 'utf8'),
      /^## \[Unreleased\]\n\n## \[9\.8\.7\] - \d{4}-\d\d-\d\d\n\n### /m,
    )
    assert.match(readFileSync(log, 'utf8'), /^publish \S+\/release\/9\.8\.7\/packed\.tgz\n$/)
  })

  test('is published with provenance by the workflow that the pushed tag starts', () => {
    const workflow = { LLM_ROUTER_NPM_SCOPE: 'acme', ACTIONS_ID_TOKEN_REQUEST_URL: 'https://token.example' }
    const { status, stderr } = release(['--tagged'], workflow)
    assert.equal(status, 0, stderr)
    assert.match(readFileSync(log, 'utf8'), /^publish \S+ --provenance$/m)
    assert.equal(git(own, 'rev-list', '--count', 'HEAD'), '2')
    git(own, 'tag', '--delete', 'v9.8.7')
    assert.match(release(['--tagged'], workflow).stderr, /no tag v9\.8\.7/)
  })
})
