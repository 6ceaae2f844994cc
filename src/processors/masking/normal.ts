/** A normalised text, with the mapping of its offsets to the original text. */
export interface NormalText {
  readonly text: string
  /** Start in the original text of the unit at this offset. */
  startOf(at: number): number
  /** End in the original text of the unit before this offset. */
  endOf(at: number): number
}

/** Zero-width characters, direction marks and soft hyphens: invisible to readers, but they split a value. */
const invisible =
  /\u034f|[\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff]|[\ufe00-\ufe0f]/
const allInvisible = new RegExp(invisible.source, 'gu')
/** Printable ASCII, tabs and line ends; most texts have nothing else. */
const plain = /^[\t\n\r\x20-\x7e]*$/
const hyphens = /[\u2010-\u2015\u2212\ufe58\ufe63\uff0d]/
/** A character with its combining marks. */
const clusters = /[^\p{M}]\p{M}*|\p{M}+/gsu

/** The text in Unicode's form NFKC, without invisible characters and with one kind of hyphen. */
export function normalText(written: string): NormalText {
  if (plain.test(written)) return unchanged(written)
  const whole = written.normalize('NFKC')
  if (whole === written && !invisible.test(written) && !hyphens.test(written)) return unchanged(written)
  let text = ''
  const starts: number[] = []
  const ends: number[] = []
  for (const { 0: cluster, index } of written.matchAll(clusters)) {
    const normal = cluster.normalize('NFKC').replaceAll(allInvisible, '').replace(hyphens, '-')
    for (let unit = 0; unit < normal.length; unit++) {
      starts.push(index)
      ends.push(index + cluster.length)
    }
    text += normal
  }
  return {
    text,
    startOf: (at) => starts[at] ?? written.length,
    endOf: (at) => (at === 0 ? 0 : (ends[at - 1] ?? written.length)),
  }
}

function unchanged(text: string): NormalText {
  return { text, startOf: (at) => at, endOf: (at) => at }
}
