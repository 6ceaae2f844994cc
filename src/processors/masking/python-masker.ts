import { withoutTrailingSlashes } from '../../lib/endpoint-paths.ts'
import { isObject } from '../../lib/json/read.ts'
import type { MaskingService } from './masking.ts'
import type { Match } from './match.ts'
import type { PostJson } from './presidio.ts'

/**
 * The masker service of the Python llm-router: `POST /api/maskers/pii` with an object of texts. The response is the same object
 * with masks in place of values, and the value of each mask. An incomplete response is a failure, as is one whose masks do not
 * restore the texts.
 */
export function pythonMasker({ url }: { url: string }, post: PostJson): MaskingService {
  const address = `${withoutTrailingSlashes(url)}/api/maskers/pii`
  return {
    name: 'pii_masker',
    async find(texts, signal) {
      const sent = Object.fromEntries(texts.map((text, index) => [String(index), text]))
      const answer = await post(address, sent, signal)
      if (!isObject(answer) || !isObject(answer.anonymized)) throw new Error('the masker returned no texts')
      const { anonymized, mappings } = answer
      const masks = readMappings(mappings)
      return texts.map((text, index) => {
        const after = anonymized[String(index)]
        if (typeof after !== 'string') throw new Error('the masker left out a text')
        return after === text ? [] : matchesIn(text, after, masks)
      })
    },
  }
}

function readMappings(mappings: unknown): ReadonlyMap<string, string> {
  const masks = new Map<string, string>()
  if (isObject(mappings))
    for (const [mask, value] of Object.entries(mappings)) {
      if (typeof value !== 'string' || mask === '' || value === '') continue
      masks.set(mask, value)
    }
  return masks
}

/** Offsets of the values in the original text, computed from those of their masks. */
function matchesIn(text: string, after: string, masks: ReadonlyMap<string, string>): Match[] {
  const names = [...masks.keys()].toSorted((a, b) => b.length - a.length)
  if (names.length === 0) throw new Error('the masker named no values')
  const escaped = names.map((name) => name.replaceAll(/[\\^$.*+?()[\]{}|/]/g, '\\$&')).join('|')
  const expression = new RegExp(`\\{(${escaped})\\}|(${escaped})`, 'g')
  const matches: Match[] = []
  let rebuilt = ''
  let from = 0
  for (const found of after.matchAll(expression)) {
    const [whole, braced, bare] = found
    const mask = braced ?? bare ?? ''
    const value = masks.get(mask) ?? ''
    rebuilt += after.slice(from, found.index)
    const kind = /^[{<[]?([A-Za-z]{2,7})/.exec(mask)?.[1]?.toUpperCase() ?? 'ENTITY'
    const normal = value.normalize('NFKC').toLowerCase()
    matches.push({ start: rebuilt.length, end: rebuilt.length + value.length, kind, normal })
    rebuilt += value
    from = found.index + whole.length
  }
  rebuilt += after.slice(from)
  if (rebuilt !== text) throw new Error('the masks do not restore the text')
  return matches
}
