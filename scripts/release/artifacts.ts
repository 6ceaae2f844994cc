import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { notesOf } from './changelog.ts'
import { type PackOptions, pack } from './package.ts'
import { run } from './run.ts'

export interface ArtifactOptions extends PackOptions {
  readonly version: string
  readonly scope: string
}

/** Makes the files of a release in an empty directory; returns the name of the archive to publish. */
export function makeArtifacts({ version, ...options }: ArtifactOptions): string {
  const { root, out, repository } = options
  rmSync(out, { recursive: true, force: true })
  mkdirSync(out, { recursive: true })
  run('node', ['scripts/build.ts'], { cwd: root })
  pack({ root, out, repository })
  const published = pack(options)
  packChart(options, version)
  writeFileSync(join(out, 'sbom.cdx.json'), `${run('scripts/sbom.sh', [], { cwd: root })}\n`)
  writeFileSync(join(out, 'notes.md'), notesOf(readFileSync(join(root, 'CHANGELOG.md'), 'utf8'), version))
  const sums = readdirSync(out)
    .toSorted()
    .map(
      (name) =>
        `${createHash('sha256')
          .update(readFileSync(join(out, name)))
          .digest('hex')}  ${name}\n`,
    )
  writeFileSync(join(out, 'SHA256SUMS'), sums.join(''))
  return published
}

/** With a unique name, because the files of a release share one directory. */
function packChart({ root, out, repository }: PackOptions, version: string): void {
  const url = repository === undefined ? [] : [`${repository}/releases/download/v${version}`]
  run(join(root, 'deploy/helm/package.sh'), [join(out, 'chart'), ...url], { cwd: root })
  const name = `llm-router-${version}.tgz`
  const renamed = `llm-router-chart-${version}.tgz`
  renameSync(join(out, 'chart', name), join(out, renamed))
  const index = readFileSync(join(out, 'chart/index.yaml'), 'utf8')
  writeFileSync(join(out, 'index.yaml'), index.replace(name, renamed))
  rmSync(join(out, 'chart'), { recursive: true })
}
