import { Value } from '@sinclair/typebox/value'
import { didYouMean } from '../../lib/did-you-mean.ts'
import { schemaError } from '../../lib/json/allowed.ts'
import type { JsonDocument, JsonPath } from '../../lib/json/jsonc.ts'
import { coerced } from '../../lib/json/loose.ts'
import { pointerSteps } from '../../lib/json/pointer.ts'
import { isObject } from '../../lib/json/read.ts'
import type { ClientKey } from '../../sdk/client-key.ts'
import { ConfigError } from '../../sdk/errors.ts'
import { pathOfMember, syntaxErrorAt } from '../config-path.ts'
import { readConfigText, syntaxOf } from '../config-text.ts'
import { clientOf, type FileClient, type ReportError } from './client.ts'
import type { RingEntry } from './key-ring.ts'
import { FileKeySchema, type KeyRecord, KeyRecordSchema, routerMembers } from './schema.ts'

export interface LoadedKeys {
  clients: ClientKey[]
  /** One per key. */
  entries: RingEntry[]
  warnings: string[]
}

/**
 * Reads a keys file: `{"keys": [...]}`, or the bare list of the Python llm-router. Throws ConfigError with all errors,
 * each as `file:line:column: path: message`; no error contains a key.
 *
 * @param file Name of the file, for error messages.
 * @param env Values for `${NAME}` in keys.
 */
export function loadClientKeys(
  text: string,
  file: string,
  env: Readonly<Record<string, string | undefined>>,
): LoadedKeys {
  const document = parse(text, file)
  const located = (path: JsonPath, message: string): string => {
    const { line, column } = document.find(path)
    return `${file}:${line}:${column}: ${nameOf(path)}: ${message}`
  }
  const errors: string[] = []
  const warnings: string[] = []
  const error: ReportError = (path, message) => errors.push(located(path, message))
  const warn: ReportError = (path, message) => warnings.push(located(path, message))
  for (const { path } of document.duplicates) error(path, 'occurs more than once')

  const { records, at } = recordsOf(document.value, error)
  const found = records.flatMap((value, index): FileClient[] => {
    const path = [...at, index]
    const record = validRecord(withKeyObjects(value), path, error)
    if (!record) return []
    const client = clientOf(record, { path, number: index + 1, env, error, warn })
    return client ? [client] : []
  })
  checkDuplicates(found, (message) => error(at, message))
  if (errors.length > 0) throw new ConfigError(errors, warnings)
  return {
    clients: found.map(({ client }) => client),
    entries: found.flatMap(({ entries }) => entries),
    warnings,
  }
}

function parse(text: string, file: string): JsonDocument {
  const document = readConfigText(text, syntaxOf(file))
  if (document.syntaxError) throw new ConfigError([syntaxErrorAt(document.syntaxError, file)])
  return document
}

function recordsOf(root: unknown, error: ReportError): { records: unknown[]; at: JsonPath } {
  if (Array.isArray(root)) return { records: nonEmpty(root, [], error), at: [] }
  const keys = isObject(root) ? root.keys : undefined
  if (!Array.isArray(keys)) {
    error([], 'not an object with a list "keys"')
    return { records: [], at: [] }
  }
  for (const name of Object.keys(Object(root)))
    if (name !== 'keys' && !isRemark(name)) error([name], 'no such field')
  return { records: nonEmpty(keys, ['keys'], error), at: ['keys'] }
}

function nonEmpty(records: unknown[], at: JsonPath, error: ReportError): unknown[] {
  if (records.length === 0) error(at, 'contains no key, so no request could be authenticated')
  return records
}

/** In a client's list of keys, a string is short for an object with that key. */
function withKeyObjects(value: unknown): unknown {
  if (!isObject(value) || !Array.isArray(value.keys)) return value
  return { ...value, keys: value.keys.map((key) => (typeof key === 'string' ? { key } : key)) }
}

/** Unknown members are errors here: a misspelled limit would not be enforced. */
function validRecord(value: unknown, path: JsonPath, error: ReportError): KeyRecord | undefined {
  let isValid = true
  const reject: ReportError = (at, message) => {
    isValid = false
    error(at, message)
  }
  if (isObject(value)) {
    for (const name of unknownNames(value, KeyRecordSchema.properties))
      reject([...path, name], `no such field${didYouMean(name, routerMembers)}`)
    const policy = value.policy_override
    if (isObject(policy))
      for (const name of unknownNames(policy, KeyRecordSchema.properties.policy_override.properties))
        reject([...path, 'policy_override', name], 'no such field')
    for (const [index, key] of (Array.isArray(value.keys) ? value.keys : []).entries())
      if (isObject(key))
        for (const name of unknownNames(key, FileKeySchema.properties))
          reject([...path, 'keys', index, name], 'no such field')
  }
  const record = coerced(KeyRecordSchema, value)
  if (Value.Check(KeyRecordSchema, record)) return isValid ? record : undefined
  const reported = new Set<string>()
  for (const problem of Value.Errors(KeyRecordSchema, record)) {
    if (reported.has(problem.path)) continue
    reported.add(problem.path)
    reject([...path, ...pointerSteps(problem.path).map(stepOf)], schemaError(problem))
  }
  return undefined
}

function unknownNames(value: Record<string, unknown>, known: object): string[] {
  return Object.keys(value).filter((name) => !Object.hasOwn(known, name) && !isRemark(name))
}

/** Whether a member is ignored: `$schema` and comments. */
function isRemark(name: string): boolean {
  return name.startsWith('$') || name.startsWith('_')
}

function stepOf(step: string): string | number {
  return /^\d+$/.test(step) ? Number(step) : step
}

/** `keys[0].models[1]`, even if the file is a bare list. */
function nameOf(path: JsonPath): string {
  const steps = path[0] === 'keys' ? path.slice(1) : path
  if (path.length > 0 && typeof path[0] === 'string' && path[0] !== 'keys') return String(path[0])
  return pathOfMember('keys', ...steps)
}

function checkDuplicates(clients: readonly FileClient[], error: (message: string) => void): void {
  const ids = new Set<string>()
  const digests = new Map<string, string>()
  for (const { client, entries } of clients) {
    for (const { sha256 } of entries) {
      const digest = sha256.toString('hex')
      const earlier = digests.get(digest)
      if (earlier !== undefined)
        error(`${JSON.stringify(earlier)} and ${JSON.stringify(client.id)} have the same key`)
      digests.set(digest, client.id)
    }
    if (ids.has(client.id)) error(`the id ${JSON.stringify(client.id)} is used twice`)
    ids.add(client.id)
  }
}
