/** `google_models["gemma"]`, the way this project's error messages name a place in models-config.json. */
export function modelPath(group: string, alias: string): string {
  return `${groupName(group)}[${JSON.stringify(alias)}]`
}

export function activePath(group: string, index?: number): string {
  const path = isPlain(group) ? `active_models.${group}` : `active_models[${JSON.stringify(group)}]`
  return index === undefined ? path : `${path}[${index}]`
}

/** Continues a place along a JSON pointer (RFC 6901): `/providers/0/api_type` is `.providers[0].api_type`. */
export function pathBelow(path: string, pointer: string): string {
  return pointer
    .split('/')
    .slice(1)
    .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'))
    .reduce((path, step) => {
      if (/^\d+$/.test(step)) return `${path}[${step}]`
      return isPlain(step) ? `${path}.${step}` : `${path}[${JSON.stringify(step)}]`
    }, path)
}

function groupName(group: string): string {
  return isPlain(group) ? group : JSON.stringify(group)
}

function isPlain(name: string): boolean {
  return /^[A-Za-z_$][\w$-]*$/.test(name)
}
