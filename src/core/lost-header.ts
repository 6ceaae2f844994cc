/** The header that names what the chosen upstream could not carry; none where it carried all. */
export function lostHeader(lost: ReadonlyMap<string, string>): Record<string, string> {
  if (lost.size === 0) return {}
  // Field names can come from the client's body: only what is legal in a header goes out.
  const names = [...lost.keys()].map((name) => name.replaceAll(/[^\w.[\]-]/g, '_').slice(0, 64))
  return { 'x-llm-router-lost': names.slice(0, 32).join(', ') }
}
