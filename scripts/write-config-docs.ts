import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TObject, TSchema } from '@sinclair/typebox'
import { MockSchema, ModelSchema, ProviderSchema } from '../src/core/models-config.ts'

const file = join(import.meta.dirname, '../docs/configuration.md')
const begin = '<!-- generated from src/core/models-config.ts by `npm run docs:config` -->'
const end = '<!-- end of the generated part -->'

/** docs/configuration.md with its tables as the schema has them now. */
export function configDocs(page: string): string {
  const [before, rest] = page.split(begin)
  const after = rest?.split(end)[1]
  if (before === undefined || after === undefined)
    throw new Error('the marks of the generated part are missing')
  const tables = [
    ['A provider', ProviderSchema],
    ['A model', ModelSchema],
    ['`mock` of a provider', MockSchema],
  ] as const
  const text = tables.map(([title, schema]) => `### ${title}\n\n${tableOf(schema)}`).join('\n')
  return `${before}${begin}\n\n${text}\n${end}${after}`
}

function tableOf(schema: TObject): string {
  const rows = Object.entries(schema.properties).map(([name, field]) => {
    const needed = schema.required?.includes(name) ? ' (needed)' : ''
    return `| \`${name}\`${needed} | ${typeOf(field)} | ${String(field.description ?? '').replaceAll('|', '\\|')} |`
  })
  return ['| Field | Type | Meaning |', '|---|---|---|', ...rows, ''].join('\n')
}

function typeOf(field: TSchema): string {
  if (Array.isArray(field.anyOf)) return [...new Set(field.anyOf.map(typeOf))].join(' or ')
  if (field.type === 'array') return 'list'
  return String(field.type ?? 'any')
}

if (import.meta.main) writeFileSync(file, configDocs(readFileSync(file, 'utf8')))
