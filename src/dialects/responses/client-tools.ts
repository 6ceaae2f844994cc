import { createHash } from 'node:crypto'
import { filledTextOf, isObject, type JsonObject, objectsIn, textOf } from '../../lib/json/read.ts'
import { type NativeTool, nativeToolOf } from './native-tools.ts'

/** A tool that the client runs. */
export interface ClientTool {
  /** Its name for the model; unique within a request. */
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
 * All tools that the client runs: those of the request, those that an item of the input adds, and those of each namespace, which
 * no other dialect has. The names depend on the request alone, so that its answer finds them again without any memory.
 */
export class ClientTools {
  readonly all: readonly ClientTool[]
  /** Tools that OpenAI runs, by the name to report them under. */
  readonly dropped: JsonObject = {}
  readonly #byWireName: ReadonlyMap<string, ClientTool>

  /** `items`: the input, that of earlier turns first. */
  constructor(tools: unknown, items: readonly { item: JsonObject; path: string }[] = []) {
    const added = items.filter(({ item }) => addsTools.has(item.type))
    const groups = [{ tools, path: 'tools' }, ...added.map(({ item, path }) => groupOf(item, path))]
    const found = new Map<string, ClientTool>()
    for (const tool of groups.flatMap((group) => this.#flattened(group))) {
      const key = keyOf(tool)
      if (!found.has(key)) found.set(key, tool)
    }
    const named = new Map<string, ClientTool>()
    const all = [...found.values()]
    for (const tool of all) if (tool.namespace === undefined) named.set(tool.wireName, tool)
    for (const tool of all) {
      if (tool.namespace === undefined) continue
      tool.wireName = flatName(tool.namespace, tool.name, named)
      named.set(tool.wireName, tool)
    }
    this.all = all
    this.#byWireName = named
  }

  /** The tool that a model calls. Some leave the namespace out. */
  called(wireName: string): ClientTool | undefined {
    const exact = this.#byWireName.get(wireName)
    if (exact) return exact
    const alike = this.all.filter(({ name }) => name === wireName)
    return alike.length === 1 ? alike[0] : undefined
  }

  /** A tool's name for the model, even if it is no longer offered. */
  wireNameOf(name: string, namespace: string | undefined): string {
    const tool = this.all.find((each) => each.name === name && each.namespace === namespace)
    if (tool) return tool.wireName
    return namespace === undefined ? name : flatName(namespace, name, new Map())
  }

  inNamespace(namespace: string): readonly ClientTool[] {
    return this.all.filter((tool) => tool.namespace === namespace)
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
      return []
    }
    const name = native?.name ?? filledTextOf(definition.name) ?? ''
    return [{ wireName: name, name, namespace, definition, path, native }]
  }
}

const addsTools: ReadonlySet<unknown> = new Set(['additional_tools', 'tool_search_output'])

function groupOf(item: JsonObject, path: string): Group {
  return { tools: Array.isArray(item.tools) ? item.tools.filter(isObject) : [], path: `${path}.tools` }
}

function keyOf({ namespace, name, path }: ClientTool): string {
  // A tool without a name is reported separately.
  return name === '' ? path : JSON.stringify([namespace ?? null, name])
}

/**
 * Most servers accept no longer name of a function, and no other characters. Source: OpenAI API reference, `tools.function.name`.
 */
const longestName = 64

function flatName(namespace: string, name: string, taken: ReadonlyMap<string, unknown>): string {
  const whole = namespace.endsWith('__') ? namespace + name : `${namespace}__${name}`
  const legal = whole.replace(/[^a-zA-Z0-9_-]/g, '_')
  if (legal === whole && whole.length <= longestName && !taken.has(whole)) return whole
  const digest = createHash('sha256')
    .update(JSON.stringify([namespace, name]))
    .digest('hex')
  return `${legal.slice(0, longestName - 9)}_${digest.slice(0, 8)}`
}
