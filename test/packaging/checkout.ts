import { spawnSync } from 'node:child_process'
import { copyFileSync, lstatSync, mkdirSync, readlinkSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { root } from '../helpers/child-env.ts'

/** A repository with one commit of the files that are here now, without packages. */
export function checkout(folder: string): void {
  const listed = git(root, 'ls-files', '--cached', '--others', '--exclude-standard', '-z')
  for (const name of listed.split('\0').filter(Boolean)) {
    const [source, target] = [join(root, name), join(folder, name)]
    const about = lstatSync(source, { throwIfNoEntry: false })
    if (about === undefined) continue // deleted, and not yet committed
    mkdirSync(dirname(target), { recursive: true })
    if (about.isSymbolicLink()) symlinkSync(readlinkSync(source), target)
    else copyFileSync(source, target)
  }
  git(folder, 'init', '--quiet', '--initial-branch=main')
  configure(folder)
  git(folder, 'add', '--all')
  git(folder, 'commit', '--quiet', '--message', 'feat: all of it')
}

/** A clone of another repository without its remote. */
export function copyOf(repository: string, folder: string): void {
  git(repository, 'clone', '--quiet', '.', folder)
  git(folder, 'remote', 'remove', 'origin')
  configure(folder)
}

function configure(folder: string): void {
  git(folder, 'config', 'user.name', 'Test')
  git(folder, 'config', 'user.email', 'test@example.com')
  // The .gitignore pattern matches a directory, but the tests create a link.
  writeFileSync(join(folder, '.git/info/exclude'), '/node_modules\n')
}

export function git(cwd: string, ...args: string[]): string {
  const { status, stdout, stderr } = spawnSync('git', args, { cwd, encoding: 'utf8' })
  if (status !== 0) throw new Error(`git ${args.join(' ')}: ${stderr}`)
  return stdout.trimEnd()
}
