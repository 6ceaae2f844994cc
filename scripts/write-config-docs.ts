import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TObject, TSchema } from '@sinclair/typebox'
import { ModelSchema, ServedProviderSchema } from '../src/config/models/schema.ts'
import { ServerSchema } from '../src/config/models/server-schema.ts'
import { ConfigSchema } from '../src/config/settings/schema.ts'
import { variables } from '../src/config/settings/settings.ts'
import { MockSchema } from '../src/sdk/mock-settings.ts'
import { ProfileSchema } from '../src/sdk/profile.ts'

const file = join(import.meta.dirname, '../docs/configuration.md')
const fieldsMark = '<!-- generated from src/config/models/schema.ts by `npm run docs:config` -->'
const variablesMark = '<!-- generated from src/config/settings/schema.ts by `npm run docs:config` -->'
const end = '<!-- end of the generated part -->'

/** docs/configuration.md with its tables generated from the current schemas. */
export function configDocs(page: string): string {
  return withPart(withPart(page, fieldsMark, fieldTables()), variablesMark, variableTable())
}

function withPart(page: string, mark: string, text: string): string {
  const [before, rest] = page.split(mark)
  const at = rest?.indexOf(end) ?? -1
  if (before === undefined || rest === undefined || at === -1)
    throw new Error(`the marks are missing: ${mark}`)
  return `${before}${mark}\n\n${text}\n${rest.slice(at)}`
}

function fieldTables(): string {
  const tables = [
    ['A server', ServerSchema],
    ['A provider', ServedProviderSchema],
    ['A model', ModelSchema],
    ['`profile` of a provider', ProfileSchema],
    ['`mock` of a provider', MockSchema],
  ] as const
  return tables.map(([title, schema]) => `### ${title}\n\n${tableOf(schema)}`).join('\n')
}

/** Every variable by its name. */
function variableTable(): string {
  const rows = variables
    .map(({ key, name }) => ({ name, schema: ConfigSchema.properties[key] as TSchema })) // all have the same options
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .map(({ name, schema }) => {
      const cells = [
        `\`LLM_ROUTER_${name}\``,
        kindOf(schema),
        presetOf(schema),
        schema.unit,
        schema.description,
      ]
      return `| ${cells.map((cell) => String(cell ?? '').replaceAll('|', '\\|')).join(' | ')} |`
    })
  return ['| Variable | Value | Default | Unit | Meaning |', '|---|---|---|---|---|', ...rows, ''].join('\n')
}

/** The type of value that a variable accepts. */
function kindOf(schema: TSchema): string {
  const { type, anyOf, unit, minimum, maximum } = schema
  if (Array.isArray(anyOf)) return anyOf.map((choice: TSchema) => `\`${choice.const}\``).join(', ')
  if (type === 'boolean') return '`true`, `false`'
  if (type === 'array') return isPiped(schema) ? 'pipe-separated list' : 'comma-separated list'
  if (type !== 'integer') return 'string'
  if (unit === 'seconds') return minimum === 0 ? 'number' : 'number greater than 0'
  return maximum > 1_000_000 ? `integer, ${minimum} or more` : `integer, ${minimum} to ${maximum}`
}

/** Whether the items of a list are separated by `|`. */
function isPiped({ allowed = '' }: TSchema): boolean {
  return allowed.includes('|')
}

function presetOf(schema: TSchema): string {
  const { default: preset, unit } = schema
  // A pipe would end the cell of the table.
  if (isPiped(schema)) return preset.join(' and ')
  const text = [preset].flat().join(',')
  if (text === '') return ''
  return `\`${unit === 'seconds' ? Number(preset) / 1000 : text}\``
}

function tableOf(schema: TObject): string {
  const rows = Object.entries(schema.properties).map(([name, field]) => {
    const needed = schema.required?.includes(name) ? ' (required)' : ''
    return `| \`${name}\`${needed} | ${typeOf(field)} | ${String(field.description ?? '').replaceAll('|', '\\|')} |`
  })
  return ['| Field | Type | Meaning |', '|---|---|---|', ...rows, ''].join('\n')
}

function typeOf(field: TSchema): string {
  if (Array.isArray(field.anyOf)) return [...new Set(field.anyOf.map(typeOf))].join(' or ')
  if (field.type === 'array') return 'array'
  return String(field.type ?? 'any')
}

if (import.meta.main) writeFileSync(file, configDocs(readFileSync(file, 'utf8')))
