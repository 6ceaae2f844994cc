import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { anthropic as anthropicDialect } from '../src/dialects/anthropic/index.ts'
import { sampling as anthropicSampling } from '../src/dialects/anthropic/request/sampling.ts'
import { gemini as geminiDialect } from '../src/dialects/gemini/index.ts'
import { sampling as geminiSampling } from '../src/dialects/gemini/request/sampling.ts'
import { ollama as ollamaDialect } from '../src/dialects/ollama/index.ts'
import { sampling as ollamaSampling } from '../src/dialects/ollama/request/sampling.ts'
import { openai as openaiDialect } from '../src/dialects/openai/index.ts'
import { sampling as openaiSampling } from '../src/dialects/openai/request/sampling.ts'
import { responses as responsesDialect } from '../src/dialects/responses/index.ts'
import { sampling as responsesSampling } from '../src/dialects/responses/request/sampling.ts'
import { type SamplingTable, samplingMapping } from '../src/dialects/shared/sampling.ts'
import { providerTypes as allProviderTypes } from '../src/providers/index.ts'
import type { Dialect } from '../src/sdk/dialect.ts'
import { RouterError } from '../src/sdk/errors.ts'
import type { ProviderType } from '../src/sdk/provider.ts'
import { samplingFields, spellings } from '../src/sdk/sampling.ts'
import { anthropic as fromAnthropic } from './translation-probes/anthropic.ts'
import { gemini as fromGemini } from './translation-probes/gemini.ts'
import { ollama as fromOllama } from './translation-probes/ollama.ts'
import { openai as fromOpenai } from './translation-probes/openai.ts'
import type { Probe, ProbedDialect } from './translation-probes/probe.ts'
import { responses as fromResponses } from './translation-probes/responses.ts'

const file = join(import.meta.dirname, '../docs/translation.md')
const begin = '<!-- generated from the codecs by `npm run docs:translation` -->'
const end = '<!-- end of the generated part -->'

const dialects = new Map(
  [openaiDialect, ollamaDialect, anthropicDialect, responsesDialect, geminiDialect].map((each) => [
    each.name,
    each,
  ]),
)
const samplingTables: Readonly<Record<string, SamplingTable>> = {
  openai: openaiSampling,
  ollama: ollamaSampling,
  anthropic: anthropicSampling,
  gemini: geminiSampling,
}
export const probedDialects = [fromOpenai, fromOllama, fromAnthropic, fromResponses, fromGemini]
/** The types with servers: the mock is embedded. */
export const providerTypes = allProviderTypes.filter(({ needsHost }) => needsHost)

/** What happens to one field on the way to one type of server. */
export type Fate =
  | { kind: 'refused'; why: string }
  | { kind: 'carried'; to: readonly string[]; dropped: readonly string[] }
  | { kind: 'dropped' }
  /** It changes nothing and is not reported. */
  | { kind: 'silent' }

/** docs/translation.md with its tables generated from the current codecs. */
export function translationDocs(page: string): string {
  const [before, rest] = page.split(begin)
  const after = rest?.split(end)[1]
  if (before === undefined || after === undefined)
    throw new Error('the marks of the generated part are missing')
  const sections = [...probedDialects.map(sectionOf), samplingSection()]
  return `${before}${begin}\n\n${sections.join('\n')}\n${end}${after}`
}

/** Passes a probe through the client's reader and the server's writer, with and without its field. */
export function fateOf({ dialect, plain }: ProbedDialect, probe: Probe, type: ProviderType): Fate {
  const from = dialectNamed(dialect)
  try {
    const without = written(from, type, { ...plain, ...probe.beside })
    const withIt = written(from, type, { ...plain, ...probe.body })
    const to = changedPaths(without.body, withIt.body)
    const dropped = [...withIt.dropped].filter((field) => !without.dropped.has(field))
    if (to.length > 0) return { kind: 'carried', to, dropped }
    return { kind: dropped.length > 0 ? 'dropped' : 'silent' }
  } catch (error) {
    if (error instanceof RouterError && error.kind === 'bad_request') {
      return { kind: 'refused', why: error.message }
    }
    throw error
  }
}

function dialectNamed(name: string): Dialect {
  const dialect = dialects.get(name)
  if (!dialect) throw new Error(`no dialect ${name}`)
  return dialect
}

/** The types whose servers receive another form than the client's. */
export function translatedTypes({ dialect }: ProbedDialect): ProviderType[] {
  return providerTypes.filter((type) => type.dialect !== dialect)
}

function written(
  from: Dialect,
  type: ProviderType,
  body: Record<string, unknown>,
): { body: unknown; dropped: Set<string> } {
  const dropped = new Set<string>()
  const request = from.chat.readRequest(body, body.stream === true)
  const target = dialectNamed(type.dialect).chat.writeRequest(request, {
    model: 'm',
    flavour: type.flavour,
    drop: (field) => dropped.add(field),
  })
  const form = request.stream ? 'stream' : 'whole'
  const path = type.modelIn === 'path' ? { path: type.path('chat', { model: 'm', form }) } : {}
  return { body: JSON.parse(JSON.stringify({ ...target, ...path })), dropped }
}

/** The members of the server's request that the field changes, two levels deep. */
function changedPaths(before: unknown, now: unknown): string[] {
  const [old, fresh] = [leavesOf(before), leavesOf(now)]
  const changed = [...new Set([...old.keys(), ...fresh.keys()])].filter(
    (path) => old.get(path) !== fresh.get(path),
  )
  return [...new Set(changed.map((path) => path.split('.').slice(0, 2).join('.')))].sort()
}

function leavesOf(value: unknown, path = '', leaves = new Map<string, string>()): Map<string, string> {
  if (Array.isArray(value)) for (const each of value) leavesOf(each, path, leaves)
  else if (typeof value === 'object' && value !== null) {
    for (const [name, each] of Object.entries(value)) {
      leavesOf(each, path === '' ? name : `${path}.${name}`, leaves)
    }
  } else leaves.set(path, `${leaves.get(path) ?? ''}\n${JSON.stringify(value)}`)
  return leaves
}

function sectionOf(dialect: ProbedDialect): string {
  const types = translatedTypes(dialect)
  const native = providerTypes.filter((type) => !types.includes(type))
  const head = ['Field', ...types.map(({ name }) => `\`${name}\``)]
  const rows = dialect.probes.map((probe) => {
    const cells = types.map((type) => cellOf(fateOf(dialect, probe, type)))
    return rowOf([fieldCell(probe.field), ...cells])
  })
  const table = [rowOf(head), `|${'---|'.repeat(head.length)}`, ...rows]
  const same = native.map(({ name }) => `\`${name}\``).join(', ')
  return [
    `### From ${dialect.title}`,
    ...(native.length === 0 ? [] : ['', `To servers of type ${same}: unchanged.`]),
    '',
    ...table,
    ...listOf('Handled by the router:', dialect.own),
    ...listOf('No effect, and not reported:', dialect.silent),
    '',
  ].join('\n')
}

/** From the dialects' own tables: the name of each field on each type of server, or the reason why it has none. */
function samplingSection(): string {
  const rows = samplingFields.map((field) => {
    const cells = providerTypes.map(({ dialect, flavour }) =>
      samplingCell(samplingMapping(tableOf(dialect), field, flavour)),
    )
    return rowOf([`\`${spellings[field].names[0]}\``, ...cells])
  })
  const types = providerTypes.map(({ name }) => `\`${name}\``)
  const own = samplingFields.map((field) => samplingCell(samplingMapping(responsesSampling, field, {})))
  return [
    '### Sampling',
    '',
    'The name of each field on each type of server, or why it is not sent. A server’s `defaults` are translated in the',
    'same way; fields that its type does not support are then omitted without a report.',
    '',
    rowOf(['Field', ...types, 'Responses API']),
    `|${'---|'.repeat(types.length + 2)}`,
    ...rows.map((row, index) => `${row} ${own[index]} |`),
    '',
  ].join('\n')
}

function tableOf(dialect: string): SamplingTable {
  const table = samplingTables[dialect]
  if (!table) throw new Error(`no sampling table of ${dialect}`)
  return table
}

function samplingCell(fate: ReturnType<typeof samplingMapping>): string {
  if ('name' in fate) return `\`${fate.name}\``
  return 'refused' in fate ? `400: ${fate.refused}` : `**dropped**: ${fate.dropped}`
}

function listOf(title: string, entries: Readonly<Record<string, string>>): string[] {
  const lines = Object.entries(entries).map(([field, why]) => `- ${fieldCell(field)}: ${why}.`)
  return lines.length === 0 ? [] : ['', title, '', ...lines]
}

function rowOf(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`
}

/** `messages: image` is the member and the part of it that is meant. */
function fieldCell(field: string): string {
  const [, name = field, rest = ''] = /^([\w.]+)(.*)$/.exec(field) ?? []
  return field.startsWith('any ') ? field : `\`${name}\`${rest}`
}

function cellOf(fate: Fate): string {
  switch (fate.kind) {
    case 'refused':
      return '400'
    case 'dropped':
      return '**dropped**'
    case 'silent':
      return 'no effect'
    case 'carried': {
      const to = fate.to.map((path) => `\`${path}\``).join(', ')
      return fate.dropped.length === 0 ? to : `${to}; **in part**`
    }
  }
}

if (import.meta.main) writeFileSync(file, translationDocs(readFileSync(file, 'utf8')))
