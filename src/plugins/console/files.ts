import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { brotliCompress, constants, gzip } from 'node:zlib'
import { version } from '../../lib/version.ts'
import { joinedModule } from './joined-module.ts'

const folder = join(import.meta.dirname, '../../../console')

/** npm modules that the console imports, by the specifier in the browser, and the files that Node resolves them to. */
const modules: Readonly<Record<string, string>> = {
  preact: import.meta.resolve('preact'),
  'preact/hooks': import.meta.resolve('preact/hooks'),
  htm: import.meta.resolve('htm'),
  '@preact/signals': import.meta.resolve('@preact/signals'),
  '@preact/signals-core': import.meta.resolve('@preact/signals-core'),
  uplot: import.meta.resolve('uplot/dist/uPlot.esm.js'),
}

const types: Readonly<Record<string, string>> = {
  js: 'text/javascript; charset=utf-8',
  css: 'text/css; charset=utf-8',
  svg: 'image/svg+xml',
}

export type Coding = 'br' | 'gzip' | 'identity'

export interface ConsoleFile {
  /** Content type. */
  type: string
  /** The content in a coding that the browser accepts; compressed once, on first use. */
  body(coding: Coding): Promise<Buffer>
}

export interface ConsoleFiles {
  /** The version, and a hash of all files: a path with it always has the same content. */
  build: string
  find(name: string): ConsoleFile | undefined
  /** The import map of a page for files at a relative URL. */
  readonly importMap: (base: string) => string
  /** Modules that every page needs, to be preloaded in parallel. */
  preloads: readonly string[]
  /** A page of the console, as a template. */
  readonly template: (name: 'index.html' | 'sign-in.html' | 'not-found.html') => string
}

/** Reads the console: its own files and the npm modules. */
export function readConsoleFiles(): ConsoleFiles {
  const kit = joinedModule('kit.js', (name) => readFileSync(join(folder, name), 'utf8'))
  const own = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => name.replaceAll('\\', '/'))
    .filter((name) => /\.(?:js|css|svg)$/.test(name) && (!kit.files.has(name) || name === 'kit.js'))
    .map((name): [string, Buffer] => [
      name,
      name === 'kit.js' ? Buffer.from(kit.content) : readFileSync(join(folder, name)),
    ])
  const foreign = Object.entries(modules).map(([name, url]): [string, Buffer] => [
    pathOf(name),
    withoutSourceMap(readFileSync(fileURLToPath(url))),
  ])
  const contents = [...own, ...foreign].sort(([one], [other]) => (one < other ? -1 : 1))
  const hash = createHash('sha256')
  for (const [name, content] of contents) hash.update(`${name}\0${content.length}\0`).update(content)
  const files = new Map(contents.map(([name, content]) => [name, fileOf(name, content)]))
  return {
    build: `${version}-${hash.digest('hex').slice(0, 12)}`,
    find: (name) => files.get(name),
    importMap: (base) =>
      JSON.stringify({
        imports: Object.fromEntries(Object.keys(modules).map((name) => [name, `${base}/${pathOf(name)}`])),
      }),
    preloads: [
      'kit.js',
      'live.js',
      ...Object.keys(modules)
        .filter((name) => name !== 'uplot')
        .map(pathOf),
    ],
    template: (name) => readFileSync(join(folder, name), 'utf8'),
  }
}

function pathOf(module: string): string {
  return `npm/${module.replace('@', '').replaceAll('/', '-')}.js`
}

/** Requested by developer tools only, and not served. */
function withoutSourceMap(content: Buffer): Buffer {
  return Buffer.from(content.toString('utf8').replace(/\n\/\/# sourceMappingURL=\S+\s*$/, '\n'))
}

const pack = { br: promisify(brotliCompress), gzip: promisify(gzip) }

function fileOf(name: string, content: Buffer): ConsoleFile {
  const bodies = new Map<Coding, Promise<Buffer>>([['identity', Promise.resolve(content)]])
  const packed = (coding: Coding): Promise<Buffer> => {
    if (coding === 'gzip') return pack.gzip(content, { level: 9 })
    // From quality 8 on it takes several times as long, for less than a hundredth of the size.
    const params = { [constants.BROTLI_PARAM_QUALITY]: 7, [constants.BROTLI_PARAM_SIZE_HINT]: content.length }
    return pack.br(content, { params })
  }
  return {
    type: types[name.slice(name.lastIndexOf('.') + 1)] ?? 'application/octet-stream',
    body(coding) {
      const body = bodies.get(coding) ?? packed(coding)
      bodies.set(coding, body)
      return body
    },
  }
}
