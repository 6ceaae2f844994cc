import { findJsonFault } from './json-fault.ts'
import { type JsonPlaces, jsonPlaces, type TextPlace } from './json-places.ts'
import { readPlace } from './place-read.ts'

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
