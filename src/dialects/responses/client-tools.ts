import { createHash } from 'node:crypto'
import { filledTextOf, isObject, type JsonObject, objectsIn, textOf } from '../../lib/json/read.ts'
import { type NativeTool, nativeToolOf } from './native-tools.ts'

/** A tool that the client runs. */
export interface ClientTool {
  /** The name that the model sees; unique within a request. */
  wireName: string
  name: string
  namespace: string | undefined
  definition: JsonObject
  path: string
  /** Set for a kind of tool with its own item type for calls. */
  native: NativeTool | undefined
}

interface Group {
  tools: unknown
  path: string
}

/**
 * All tools that the client runs: those of the request, those added by items of the input, and those of namespaces, which no
 * other dialect has. Their names depend only on the request, so that its answer can be mapped back without state.
 */
export class ClientTools {
  readonly all: readonly ClientTool[]
  /** Tools that OpenAI runs, by the field that is reported. */
  readonly dropped: JsonObject = {}
  readonly #byKey: ReadonlyMap<string, ClientTool>
  readonly #byWireName: ReadonlyMap<string, ClientTool>
  /** By name, whatever their namespace. */
  readonly #byName: ReadonlyMap<string, readonly ClientTool[]>
  #byNamespace: ReadonlyMap<string | undefined, readonly ClientTool[]> | undefined
  #byType: ReadonlyMap<unknown, readonly ClientTool[]> | undefined
  /** The types of tools that OpenAI runs, without and with their server. */
  readonly #hosted = new Set<string>()

  /** `items`: of the input, with those of earlier turns first. */
  constructor(tools: unknown, items: readonly { item: JsonObject; path: string }[] = []) {
    const added = items.filter(({ item }) => toolItemTypes.has(item.type))
    const groups = [{ tools, path: 'tools' }, ...added.map(({ item, path }) => groupOf(item, path))]
    const found = new Map<string, ClientTool>()
    for (const tool of groups.flatMap((group) => this.#flattened(group))) {
      const key = keyOf(tool)
      if (!found.has(key)) found.set(key, tool)
    }
    const byWireName = new Map<string, ClientTool>()
    const all = [...found.values()]
    for (const tool of all) if (tool.namespace === undefined) byWireName.set(tool.wireName, tool)
    for (const tool of all) {
      if (tool.namespace === undefined) continue
      tool.wireName = flatName(tool.namespace, tool.name, byWireName)
      byWireName.set(tool.wireName, tool)
    }
    this.all = all
    this.#byKey = found
    this.#byWireName = byWireName
    this.#byName = Map.groupBy(all, ({ name }) => name)
  }

  /** The tool that a model calls. Some models omit the namespace. */
  findByWireName(wireName: string): ClientTool | undefined {
    const exact = this.#byWireName.get(wireName)
    if (exact) return exact
    const matches = this.#byName.get(wireName)
    return matches?.length === 1 ? matches[0] : undefined
  }

  /** The name that the model sees, even of a tool that is no longer offered. */
  wireNameOf(name: string, namespace: string | undefined): string {
    const tool = this.#byKey.get(keyOfName(namespace, name))
    if (tool) return tool.wireName
    return namespace === undefined ? name : flatName(namespace, name, new Map())
  }

  inNamespace(namespace: string): readonly ClientTool[] {
    this.#byNamespace ??= Map.groupBy(this.all, (tool) => tool.namespace)
    return this.#byNamespace.get(namespace) ?? []
  }

  /** Undefined if there are none. */
  ofType(type: unknown): readonly ClientTool[] | undefined {
    this.#byType ??= Map.groupBy(this.all, ({ definition }) => definition.type)
    return this.#byType.get(type)
  }

  /** Whether a tool that OpenAI runs is declared. A reference may also name its MCP server. */
  declaresHosted({ type, server_label: server }: JsonObject): boolean {
    return this.#hosted.has(JSON.stringify(server === undefined ? [type] : [type, server]))
  }

  #flattened({ tools, path }: Group): ClientTool[] {
    return objectsIn(tools).flatMap((definition, index) => {
      const at = `${path}[${index}]`
      const namespace = definition.type === 'namespace' ? filledTextOf(definition.name) : undefined
      if (namespace === undefined) return this.#read(definition, at, undefined)
      const { description } = definition
      return objectsIn(definition.tools).flatMap((tool, inner) =>
        this.#read({ ...(description ? { description } : {}), ...tool }, `${at}.tools[${inner}]`, namespace),
      )
    })
  }

  #read(definition: JsonObject, path: string, namespace: string | undefined): ClientTool[] {
    const { type } = definition
    const native = nativeToolOf(definition)
    if (type !== 'function' && type !== 'custom' && !native) {
      this.dropped[`tools.${textOf(type) ?? path}`] = definition
      for (const key of [[type], [type, definition.server_label]]) this.#hosted.add(JSON.stringify(key))
      return []
    }
    const name = native?.name ?? filledTextOf(definition.name) ?? ''
    return [{ wireName: name, name, namespace, definition, path, native }]
  }
}

const toolItemTypes: ReadonlySet<unknown> = new Set(['additional_tools', 'tool_search_output'])

function groupOf(item: JsonObject, path: string): Group {
  return { tools: Array.isArray(item.tools) ? item.tools.filter(isObject) : [], path: `${path}.tools` }
}

function keyOf({ namespace, name, path }: ClientTool): string {
  // Tools without a name are rejected one by one.
  return name === '' ? path : keyOfName(namespace, name)
}

function keyOfName(namespace: string | undefined, name: string): string {
  return JSON.stringify([namespace ?? null, name])
}

/** Most servers accept no longer name, and only these characters. Source: OpenAI API reference, `tools.function.name`. */
const maxNameLength = 64
const illegalCharacter = /[^a-zA-Z0-9_-]/g

function flatName(namespace: string, name: string, taken: ReadonlyMap<string, unknown>): string {
  const fullName = namespace.endsWith('__') ? namespace + name : `${namespace}__${name}`
  const legal = fullName.replace(illegalCharacter, '_')
  if (legal === fullName && fullName.length <= maxNameLength && !taken.has(fullName)) return fullName
  const digest = createHash('sha256')
    .update(JSON.stringify([namespace, name]))
    .digest('hex')
  return `${legal.slice(0, maxNameLength - 9)}_${digest.slice(0, 8)}`
}
