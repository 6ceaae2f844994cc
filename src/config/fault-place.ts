import { findJsonFault } from '../lib/json/fault.ts'
import { type JsonPath, type JsonPlaces, jsonPlaces, type TextPlace } from '../lib/json/places.ts'

/** A message on a place of the text itself, where no path leads to. */
export function atTextPlace({ line, column }: TextPlace, message: string): string {
  return `models-config.json (line ${line}, column ${column}): ${message}`
}

/** What {@link atTextPlace} has put together; undefined for any other message. */
export function fromTextPlace(text: string): { message: string; place: TextPlace } | undefined {
  const [whole, line, column] = /^models-config\.json \(line (\d+), column (\d+)\): /.exec(text) ?? []
  if (whole === undefined) return undefined
  return { message: text.slice(whole.length), place: { line: Number(line), column: Number(column) } }
}

/** Where in models-config.json a fault is; undefined for one of a variable, a prompt or an extension. */
export function faultPlace(fault: string, places: JsonPlaces | undefined): TextPlace | undefined {
  const path = readPlace(fault)
  if (!path || !places || /^(?:LLM_ROUTER_\w+|models-config$)/.test(String(path[0]))) return undefined
  return places.find(path)
}

/** `file:line:column: ` before each fault of a models-config.json, as compilers write it. */
export function placedFaults(faults: readonly string[], text: string, path: string): string[] {
  const json = text.replace(/^\ufeff/, '')
  const broken = findJsonFault(json)
  if (broken) return [`${path}:${broken.line}:${broken.column}: not valid JSON from here on`]
  const places = jsonPlaces(text)
  return faults.map((fault) => {
    const place = faultPlace(fault, places)
    return `${path}:${place ? `${place.line}:${place.column}:` : ''} ${fault}`
  })
}

const first = /^(?:([A-Za-z_$][\w$-]*)|("(?:[^"\\]|\\.)*"))/
const step = /^(?:\.([A-Za-z_$][\w$-]*)|\[(\d+)\]|\[("(?:[^"\\]|\\.)*")\])/

/** The path that a fault message begins with, as src/config/places.ts writes it; undefined when it begins with none. */
export function readPlace(fault: string): JsonPath | undefined {
  const path: (string | number)[] = []
  const [begin, plain, quoted] = first.exec(fault) ?? []
  if (begin === undefined) return undefined
  path.push(plain ?? nameIn(quoted))
  let rest = fault.slice(begin.length)
  for (let match = step.exec(rest); match; match = step.exec(rest)) {
    const [all, name, index, text] = match
    path.push(name ?? (index === undefined ? nameIn(text) : Number(index)))
    rest = rest.slice(all.length)
  }
  return rest.startsWith(':') ? path : undefined
}

function nameIn(quoted = '""'): string {
  return String(JSON.parse(quoted))
}
