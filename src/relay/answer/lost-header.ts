/** The header that names what the chosen upstream could not carry; none where it carried all. */
export function lostHeader(lost: ReadonlyMap<string, string>): Record<string, string> {
  return lost.size === 0 ? {} : { 'x-llm-router-lost': lostNames(lost).join(', ') }
}

const none: readonly string[] = []

/** Field names can come from the client's body: bounded in number and length, and of what a header may hold. */
export function lostNames(lost: ReadonlyMap<string, string>): readonly string[] {
  if (lost.size === 0) return none
  const names = [...lost.keys()].slice(0, 32)
  return names.map((name) => name.slice(0, 64).replaceAll(/[^\w.[\]-]/g, '_'))
}
