import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { run } from './run.ts'

interface Manifest {
  name: string
  files: string[]
  [member: string]: unknown
}

export interface PackOptions {
  /** Must contain dist/. */
  readonly root: string
  /** Directory of the archive. */
  readonly out: string
  /** Including @; without a scope the package keeps its name, and cannot be published. */
  readonly scope?: string | undefined
  /** URL of the repository, which npm compares with the provenance. */
  readonly repository?: string | undefined
}

/**
 * Packs the contents of an installation, and returns the name of the archive. Its package.json has no development packages, no
 * scripts and no Node: the last is for a checkout on a machine with an older one, and would add 190 MB.
 */
export function pack({ root, out, scope, repository }: PackOptions): string {
  const manifest: Manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const { scripts, devDependencies, optionalDependencies, ...kept } = manifest
  const stage = mkdtempSync(join(tmpdir(), 'llm-router-stage-'))
  try {
    for (const name of [...manifest.files, 'README.md', 'LICENSE']) {
      if (!existsSync(join(root, name))) throw new Error(`${name} is missing: npm run build makes dist/`)
      cpSync(join(root, name), join(stage, name), { recursive: true })
    }
    // Formatted for readers of the repository; a third of it is white space.
    compact(join(stage, 'resources/models-config.schema.json'))
    if (scope !== undefined) {
      delete kept.private
      kept.name = `${scope}/${manifest.name}`
      kept.publishConfig = { access: 'public' }
    }
    if (repository !== undefined) kept.repository = { type: 'git', url: `git+${repository}.git` }
    writeFileSync(join(stage, 'package.json'), `${JSON.stringify(kept, null, 2)}\n`)
    mkdirSync(out, { recursive: true })
    return run('npm', ['pack', '--silent', '--ignore-scripts', '--pack-destination', out], { cwd: stage })
  } finally {
    rmSync(stage, { recursive: true })
  }
}

function compact(path: string): void {
  writeFileSync(path, JSON.stringify(JSON.parse(readFileSync(path, 'utf8'))))
}
