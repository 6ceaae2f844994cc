import { registerHooks } from 'node:module'

// A start loads over a thousand modules. For a relative import with a full extension, its URL and format are known; Node would
// also check the file, follow symbolic links and look for a package.json. docs/decisions/0015-faster-start.md
const relative = /^\.\.?\/.*\.(ts|js|mjs)$/
const packageRoot = new URL('../', import.meta.url).href
const typebox = /\/node_modules\/@sinclair\/typebox\/build\/esm\//

registerHooks({
  resolve(specifier, context, next) {
    const { parentURL } = context
    const extension = relative.exec(specifier)?.[1]
    if (extension === undefined || parentURL === undefined) return next(specifier, context)
    if (!parentURL.startsWith(packageRoot) && !typebox.test(parentURL)) return next(specifier, context)
    const format = extension === 'ts' ? 'module-typescript' : 'module'
    return { url: new URL(specifier, parentURL).href, format, shortCircuit: true }
  },
})
