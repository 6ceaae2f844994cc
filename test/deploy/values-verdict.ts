import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import fastify from 'fastify'
import { isObject } from '../../src/lib/json/read.ts'
import { chartDir, readYaml } from './chart.ts'

const schema = JSON.parse(readFileSync(join(chartDir, 'values.schema.json'), 'utf8'))
const preset = readYaml(join(chartDir, 'values.yaml'))

/** The status that Fastify's Ajv, without modifying values, returns for values.yaml merged with these values. */
export async function verdict(values: Record<string, unknown>): Promise<number> {
  const app = fastify({
    ajv: {
      customOptions: {
        coerceTypes: false,
        useDefaults: false,
        removeAdditional: false,
        allowUnionTypes: true,
      },
    },
  })
  app.post('/', { schema: { body: schema } }, () => 'valid')
  const { statusCode } = await app.inject({ method: 'POST', url: '/', payload: overlaid(preset, values) })
  await app.close()
  return statusCode
}

/** Merges as Helm does: objects are merged, everything else is replaced. */
function overlaid(base: Record<string, unknown>, over: Record<string, unknown>): Record<string, unknown> {
  const result = { ...base }
  for (const [name, value] of Object.entries(over)) {
    const under = result[name]
    result[name] = isObject(under) && isObject(value) ? overlaid(under, value) : value
  }
  return result
}
