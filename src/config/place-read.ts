import type { JsonPath } from '../lib/json/places.ts'

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
