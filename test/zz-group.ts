import { resolve } from 'node:path'
import { afterEach, beforeEach, describe } from 'node:test'
import { pathToFileURL } from 'node:url'
import '../src/runtime/relative-imports.js'
const cpu = () => { const u = process.cpuUsage(); return (u.user + u.system) / 1000 }
let at = 0
for (const file of process.argv.slice(2))
  describe(file, async () => {
    beforeEach(() => { console.log('  (between)', (cpu() - at).toFixed(0)); at = cpu() })
    afterEach((t) => { console.log((cpu() - at).toFixed(0), t.name); at = cpu() })
    await import(pathToFileURL(resolve(file)).href)
  })
process.on('exit', () => console.log('rest', cpu() - at))
