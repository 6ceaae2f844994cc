/** `google_models["gemma"]`, the way this project's fault messages name a place in models-config.json. */
export function modelPlace(group: string, alias: string): string {
  return `${groupName(group)}[${JSON.stringify(alias)}]`
}

export function activePlace(group: string, index?: number): string {
  const place = isPlain(group) ? `active_models.${group}` : `active_models[${JSON.stringify(group)}]`
  return index === undefined ? place : `${place}[${index}]`
}

/** Continues a place along a JSON pointer (RFC 6901): `/providers/0/api_type` is `.providers[0].api_type`. */
export function placeBelow(place: string, pointer: string): string {
  return pointer
    .split('/')
    .slice(1)
    .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'))
    .reduce((path, step) => {
      if (/^\d+$/.test(step)) return `${path}[${step}]`
      return isPlain(step) ? `${path}.${step}` : `${path}[${JSON.stringify(step)}]`
    }, place)
}

function groupName(group: string): string {
  return isPlain(group) ? group : JSON.stringify(group)
}

function isPlain(name: string): boolean {
  return /^[A-Za-z_$][\w$-]*$/.test(name)
}
