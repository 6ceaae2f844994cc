import { isObject, type JsonObject, objectsIn, textOf } from '../../lib/json/read.ts'
import type { ContentFeature } from '../../sdk/dialect.ts'
import { membersExcept } from '../shared/dropped-fields.ts'

/**
 * A member in camel case or snake case: Google's servers accept both, and Google's examples use both. Source: Protocol Buffers
 * documentation, "ProtoJSON Format".
 */
export function memberOf(object: JsonObject, name: string): unknown {
  return object[nameIn(object, name)]
}

/** The spelling in which an object has a member; camel case if it is absent. */
export function nameIn(object: Readonly<JsonObject>, name: string): string {
  if (isPresent(object[name])) return name
  const snake = snakeCase(name)
  return isPresent(object[snake]) ? snake : name
}

export function objectIn(object: JsonObject, name: string): JsonObject | undefined {
  const value = memberOf(object, name)
  return isObject(value) ? value : undefined
}

export function listIn(object: JsonObject, name: string): JsonObject[] {
  return objectsIn(memberOf(object, name))
}

/** The members that are neither known nor absent, with their names in camel case. Throws `bad_request` if there are too many. */
export function unknownIn(object: JsonObject, known: ReadonlySet<string>): JsonObject {
  const others = Object.entries(membersExcept(object, (name) => known.has(camelCase(name))))
  return Object.fromEntries(others.map(([name, value]) => [camelCase(name), value]))
}

function isPresent(value: unknown): boolean {
  return value !== undefined && value !== null
}

export function snakeCase(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}

export function camelCase(name: string): string {
  return name.replaceAll(/(?<=[a-z0-9])_([a-z])/g, (_whole, letter: string) => letter.toUpperCase())
}

/** The features that a body uses and a server may lack. */
export function* features(body: Readonly<JsonObject>): Generator<ContentFeature> {
  if (objectsIn(body.tools).length > 0) yield 'tools'
  const config = objectIn(body, 'generationConfig') ?? {}
  if (isObject(memberOf(config, 'responseSchema')) || isObject(memberOf(config, 'responseJsonSchema')))
    yield 'schema'
  if (memberOf(config, 'responseMimeType') === 'application/json') yield 'schema'
  for (const content of listIn(body, 'contents'))
    for (const part of objectsIn(content.parts)) {
      const data = objectIn(part, 'inlineData') ?? objectIn(part, 'fileData')
      if (data) yield featureOf(textOf(memberOf(data, 'mimeType')) ?? '')
    }
}

function featureOf(mediaType: string): ContentFeature {
  const [kind] = mediaType.split('/')
  return kind === 'image' || kind === 'audio' || kind === 'video' ? kind : 'file'
}
