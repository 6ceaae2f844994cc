import { registerHooks } from 'node:module'

// A start loads over a thousand modules. For each, Node looks for the file, follows its symbolic links and reads the nearest
// package.json to learn its format. A relative import with a full extension needs none of that: docs/decisions/0014-faster-start.md
const source = /^\.\.?\/.*\.(ts|js|mjs)$/
const own = new URL('../', import.meta.url).href
const typebox = /\/node_modules\/@sinclair\/typebox\/build\/esm\//

registerHooks({
  resolve(specifier, context, next) {
    const { parentURL } = context
    const extension = source.exec(specifier)?.[1]
    if (extension === undefined || parentURL === undefined) return next(specifier, context)
    if (!parentURL.startsWith(own) && !typebox.test(parentURL)) return next(specifier, context)
    const format = extension === 'ts' ? 'module-typescript' : 'module'
    return { url: new URL(specifier, parentURL).href, format, shortCircuit: true }
  },
})
