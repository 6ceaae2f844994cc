/** Characters of model names. Punctuation counts only if more of a name follows: `llama-3`, but not `llama.` */
const inName = /^[./:@+-]*[\p{L}\p{N}_]/u
const nameBefore = /[\p{L}\p{N}_./:@+-]$/u
/** Ollama adds it to a name that has no tag. */
const usualTag = ':latest'
/** Context examined on both sides of a name, in UTF-16 units. */
const reach = 8

/** Replaces a name in a text, except where it is a part of a longer name. */
export function replaceName(text: string, name: string, replacement: string): string {
  if (name === '' || name === replacement) return text
  let renamed = ''
  let from = 0
  for (let at = text.indexOf(name); at !== -1; at = text.indexOf(name, Math.max(from, at + 1))) {
    const end = at + name.length + (text.startsWith(usualTag, at + name.length) ? usualTag.length : 0)
    if (nameBefore.test(text.slice(Math.max(0, at - 2), at))) continue
    if (inName.test(text.slice(end, end + reach))) continue
    renamed += text.slice(from, at) + replacement
    from = end
  }
  return renamed + text.slice(from)
}
