import { applyEdits, type Edit } from '../../lib/json/splice.ts'
import { type JsonNode, memberOf, readTree, stringAt } from '../../lib/json/tree.ts'
import type { ContentForms, ContentShape } from '../../sdk/content.ts'
import type { ContentText } from './content-text.ts'
import { holdsText, isEmpty, isJsonText, itemPath } from './json-values.ts'
import { type UnchangedText, UnchangedTexts } from './unchanged-texts.ts'

/** A proof of an upstream's reasoning, sent back by a client that received the reasoning unmasked. */
export interface OpenedProof {
  /** JSON of the original value. */
  readonly json: string
  /** The original proof. */
  readonly proof: string
}

interface Options {
  /** Opens a proof from an earlier response. */
  openProof(proof: string): OpenedProof | undefined
}

type Origin = Pick<ContentText, 'path' | 'isSystem'>

interface Found extends ContentText {
  readonly edit: (changed: string) => void
}

/** Numbers with fewer digits are not searched. */
const minDigits = 6

/** Contents of a JSON body, found by the shapes of its table. They are changed in place; all other bytes stay unchanged. */
export class BodyContents {
  readonly #bytes: Buffer
  readonly #options: Options
  readonly #found: Found[] = []
  readonly #edits: Edit[] = []
  readonly #inner: (() => void)[] = []
  /** Number of the last run of joined texts. */
  #lastRun = 0
  /** Run of the current list's texts; undefined if each text is separate. */
  #joined: number | undefined
  /** Paths of members without a shape, or with one that cannot be inspected. */
  readonly unprotected: string[] = []
  /** Paths of images, audio and files. */
  readonly media: string[] = []
  readonly #unchanged: UnchangedTexts

  /** `bytes` must be valid JSON. */
  constructor(bytes: Buffer, shape: ContentShape, options: Options) {
    this.#bytes = bytes
    this.#options = options
    this.#unchanged = new UnchangedTexts(bytes)
    const root = readTree(bytes)
    if (root) this.#walk(root, shape, { path: '', isSystem: false })
    else this.unprotected.push('body')
  }

  get texts(): readonly ContentText[] {
    return this.#found
  }

  /** Texts that are passed on unchanged. */
  get unchanged(): readonly UnchangedText[] {
    return this.#unchanged.list
  }

  /** Texts where only encoded data of a server is expected. */
  opaqueTexts(): readonly UnchangedText[] {
    return this.#unchanged.opaqueTexts()
  }

  /** The body with replaced texts, in the order of `texts`, and further edits. Call it once. */
  with(texts: readonly string[], edits: readonly Edit[] = []): Buffer {
    for (const [index, found] of this.#found.entries()) {
      const changed = texts[index] ?? ''
      if (changed !== found.text) found.edit(changed)
    }
    for (const finish of this.#inner) finish()
    return applyEdits(this.#bytes, [...this.#edits, ...edits])
  }

  #walk(node: JsonNode, shape: ContentShape, at: Origin): void {
    if (node.type === 'word') {
      if (shape === 'rejected' && !isEmpty(node, this.#bytes)) this.unprotected.push(at.path)
      return
    }
    switch (shape) {
      case 'replaced':
        return
      case 'opaque':
        this.#unchanged.addOpaque(node, at.path)
        return
      case 'keep':
        this.#unchanged.add(node, at.path)
        return
      case 'schema':
        this.#schema(node, { ...at, isSystem: true })
        return
      case 'text':
        if (node.type === 'string') this.#text(node, at, this.#joined)
        else if (node.type === 'number') this.#value(node, at)
        else this.#unprotect(node, at)
        return
      case 'json':
        if (node.type === 'string') this.#json(node, at, this.#joined)
        else this.#value(node, at)
        return
      case 'value':
        this.#value(node, at)
        return
      case 'media':
        if (!isEmpty(node, this.#bytes)) this.media.push(at.path)
        return
      case 'rejected':
        if (!isEmpty(node, this.#bytes)) this.unprotected.push(at.path)
        return
      default:
        this.#forms(node, shape, { ...at, isSystem: at.isSystem || shape.system === true })
    }
  }

  #forms(node: JsonNode, shape: ContentForms, at: Origin): void {
    switch (node.type) {
      case 'number':
        if (shape.numbers === 'rejected') this.unprotected.push(at.path)
        return
      case 'string':
        if (shape.text === undefined) this.#unprotect(node, at)
        else this.#walk(node, shape.text, at)
        return
      case 'array':
        this.#items(node, shape, at)
        return
      case 'object':
        this.#members(node, shape, at)
        return
    }
  }

  #items(node: Extract<JsonNode, { type: 'array' }>, shape: ContentForms, at: Origin): void {
    if (shape.items === undefined) {
      this.#unprotect(node, at)
      return
    }
    const before = this.#joined
    this.#joined = shape.joined === true ? ++this.#lastRun : undefined
    for (const [index, item] of node.items.entries())
      this.#walk(item, shape.items, { ...at, path: `${at.path}[${index}]` })
    this.#joined = before
  }

  #members(node: Extract<JsonNode, { type: 'object' }>, shape: ContentForms, at: Origin): void {
    const { by, members, rest } = shape
    if (by) {
      const named = memberOf(node, by.member)
      const name = named?.type === 'string' ? stringAt(this.#bytes, named).toLowerCase() : ''
      const found = Object.hasOwn(by.cases, name) ? by.cases[name] : by.otherwise
      if (found === undefined) this.#unprotect(node, at)
      else this.#walk(node, found, at)
      return
    }
    if (!members && rest === undefined) {
      this.#unprotect(node, at)
      return
    }
    const before = this.#joined
    if (shape.joined === false) this.#joined = undefined
    this.#eachMember(node, shape, at)
    this.#joined = before
  }

  #eachMember(node: Extract<JsonNode, { type: 'object' }>, shape: ContentForms, at: Origin): void {
    const { members, rest } = shape
    const proved = shape.signed && this.#proved(node, shape.signed)
    for (const { key, value } of node.members) {
      if (proved?.has(value)) continue
      const path = at.path === '' ? key : `${at.path}.${key}`
      const memberShape = members && Object.hasOwn(members, key) ? members[key] : rest
      if (memberShape === undefined || memberShape === rest)
        this.#unchanged.list.push({ text: key, path: at.path })
      if (memberShape === undefined) this.#unprotect(value, { ...at, path })
      else this.#walk(value, memberShape, { ...at, path })
    }
  }

  /** Restores the upstream's original value and proof. Returns the members handled. */
  #proved(
    node: JsonNode,
    { values, proof: proofName }: { values: readonly string[]; proof: string },
  ): ReadonlySet<JsonNode> | undefined {
    const value = values.map((name) => memberOf(node, name)).find((found) => found !== undefined)
    const proof = memberOf(node, proofName)
    if (!value || proof?.type !== 'string') return undefined
    const opened = this.#options.openProof(stringAt(this.#bytes, proof))
    if (!opened) return undefined
    this.#edits.push({ start: value.start, end: value.end, text: opened.json })
    this.#edits.push({ start: proof.start, end: proof.end, text: JSON.stringify(opened.proof) })
    return new Set([value, proof])
  }

  /** `joined`: the run of the text; undefined if it is separate. */
  #text(node: JsonNode, at: Origin, joined: number | undefined): void {
    const text = stringAt(this.#bytes, node)
    this.#add(text, at, (changed) => this.#replace(node, JSON.stringify(changed)), joined)
  }

  #add(text: string, { isSystem, path }: Origin, edit: Found['edit'], joined?: number): void {
    if (text !== '') this.#found.push({ text, run: joined ?? ++this.#lastRun, isSystem, path, edit })
  }

  #replace({ start, end }: JsonNode, text: string): void {
    this.#edits.push({ start, end, text })
  }

  /** A string that may contain JSON, whose strings are then processed decoded. Otherwise it is plain text. */
  #json(node: JsonNode, at: Origin, joined: number | undefined): void {
    // Recursion is bounded: each level doubles the backslashes of the one within.
    const text = stringAt(this.#bytes, node)
    const inner = isJsonText(text) ? Buffer.from(text) : undefined
    const root = inner && readTree(inner)
    if (!inner || !root) {
      // JSON nested too deeply to parse could hide values in its escapes.
      if (inner) this.unprotected.push(at.path)
      this.#text(node, at, joined)
      return
    }
    const contents = new BodyContents(inner, 'value', this.#options)
    const changed: string[] = contents.texts.map((found) => found.text)
    for (const [index, found] of contents.texts.entries()) {
      this.#add(found.text, at, (text) => {
        changed[index] = text
      })
    }
    this.unprotected.push(...contents.unprotected.map((path) => `${at.path}.${path}`))
    for (const { text: unchanged, path } of contents.unchanged)
      this.#unchanged.list.push({ text: unchanged, path: `${at.path}.${path}` })
    this.#inner.push(() => {
      const after = contents.with(changed).toString()
      if (after !== text) this.#replace(node, JSON.stringify(after))
    })
  }

  #value(node: JsonNode, at: Origin): void {
    switch (node.type) {
      case 'word':
        return
      case 'string':
        this.#json(node, at, undefined)
        return
      case 'number': {
        const text = this.#bytes.toString('latin1', node.start, node.end)
        if (/^\d+$/.test(text) && text.length >= minDigits)
          this.#add(text, at, (changed) => this.#replace(node, JSON.stringify(changed)))
        return
      }
      case 'array':
        for (const [index, item] of node.items.entries())
          this.#value(item, { ...at, path: itemPath(at.path, index, item) })
        return
      case 'object':
        for (const { key, value } of node.members) {
          const path = at.path === '' ? key : `${at.path}.${key}`
          this.#unchanged.list.push({ text: key, path })
          this.#value(value, { ...at, path })
        }
    }
  }

  /** In a schema, only descriptions, examples and values are content; the rest belongs to the protocol. */
  #schema(node: JsonNode, at: Origin): void {
    if (node.type === 'array') {
      for (const [index, item] of node.items.entries())
        this.#schema(item, { ...at, path: itemPath(at.path, index, item) })
    } else if (node.type === 'object') {
      for (const { key, value } of node.members) {
        const path = at.path === '' ? key : `${at.path}.${key}`
        this.#unchanged.list.push({ text: key, path })
        if (schemaContentMembers.has(key)) this.#value(value, { ...at, path })
        else this.#schema(value, { ...at, path })
      }
    } else this.#unchanged.add(node, at.path)
  }

  /** Without a shape, only values without text are passed on; member names are checked like texts. */
  #unprotect(node: JsonNode, { path }: Origin): void {
    if (holdsText(node)) this.unprotected.push(path)
    else this.#unchanged.add(node, path)
  }
}

/** Members of schemas and tools that contain text or values. */
const schemaContentMembers: ReadonlySet<string> = new Set([
  'description',
  'title',
  'default',
  'example',
  'examples',
  'const',
  'enum',
  'instructions',
])
