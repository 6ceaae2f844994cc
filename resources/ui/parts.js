/** What the status page is drawn with: pieces of the document, and words for numbers and times. */

/** The children of `parent` that stand for `items`, in their order: kept where they are, so that focus and selection stay. */
export function keyed(parent, items, keyOf, create) {
  const known = new Map(
    [...parent.children].filter(({ key }) => key !== undefined).map((child) => [child.key, child]),
  )
  const children = items.map((item, index) => {
    const key = keyOf(item, index)
    const child = known.get(key) ?? Object.assign(create(), { key })
    known.delete(key)
    return child
  })
  for (const child of known.values()) child.remove()
  const first = [...parent.children].filter(({ key }) => key === undefined).length
  children.forEach((child, index) => {
    const place = parent.children[first + index]
    if (place !== child) parent.insertBefore(child, place ?? null)
  })
  return children
}

export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name)
  for (const [key, value] of Object.entries(attributes)) if (value !== '') made.setAttribute(key, value)
  made.append(...children)
  return made
}

export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text
}

export function sum(numbers) {
  return numbers.reduce((total, each) => total + each, 0)
}

export function milliseconds(value) {
  return value < 1000 ? `${Math.round(value)} ms` : `${(value / 1000).toFixed(1)} s`
}

export function duration(seconds) {
  if (seconds < 60) return `${Math.ceil(seconds)} s`
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`
  const hours = Math.floor(seconds / 3600)
  return hours < 48 ? `${hours} h ${Math.floor((seconds % 3600) / 60)} min` : `${Math.floor(hours / 24)} days`
}

export function clock(iso) {
  const when = new Date(iso)
  const time = when.toLocaleTimeString()
  return when.toDateString() === new Date().toDateString() ? time : `${when.toLocaleDateString()} ${time}`
}
