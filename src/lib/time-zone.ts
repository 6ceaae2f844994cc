/** Calendar arithmetic in a time zone. Times are in milliseconds since 1970. */
export interface TimeZone {
  readonly name: string
  startOfDay(at: number): number
  /** Weeks begin on Monday (ISO 8601). */
  startOfWeek(at: number): number
  startOfMonth(at: number): number
  /** Start of the day `days` days after that of `at`. */
  dayAfter(at: number, days: number): number
  /** Start of the month `months` months after that of `at`. */
  monthAfter(at: number, months: number): number
  /** Start of a calendar date. `month`: 1 to 12. */
  dateAt(year: number, month: number, day: number): number
  /** Formats as RFC 3339 with the offset at that time, such as `2026-03-29T03:00:00+02:00`. */
  text(at: number): string
}

const hourMs = 3_600_000
const dayMs = 24 * hourMs

export function isTimeZone(name: string): boolean {
  // Shortcut for the default, because the first use of Intl loads its data.
  if (name === 'UTC') return true
  try {
    return name !== '' && new Intl.DateTimeFormat('en', { timeZone: name }) !== undefined
  } catch {
    return false
  }
}

/** `name`: an IANA name such as `Europe/Warsaw`. Throws RangeError if it is unknown. */
export function timeZone(name: string): TimeZone {
  const local = name === 'UTC' ? wholeSeconds : localTimeIn(name)
  const offset = (at: number): number => local(at) - wholeSeconds(at)

  /** The first time at which the local time is `localTime` or, if the clocks skip it, later. */
  function momentOf(localTime: number): number {
    const offsets = [offset(localTime - dayMs), offset(localTime + dayMs)]
    const found = offsets
      .map((each) => localTime - each)
      .filter((at) => local(at) === localTime)
      .sort((a, b) => a - b)
    const [first] = found
    if (first !== undefined) return first
    // Skipped by the change to daylight saving time: find the change by bisection.
    let before = localTime - dayMs
    let after = localTime + dayMs
    while (after - before > 1000) {
      const middle = Math.floor((before + after) / 2000) * 1000
      if (local(middle) < localTime) before = middle
      else after = middle
    }
    return after
  }

  const midnight = (at: number): number => Math.floor(local(at) / dayMs) * dayMs
  const monthOf = (at: number, months: number): number => {
    const date = new Date(local(at))
    return momentOf(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + months, 1))
  }
  return {
    name,
    startOfDay: (at) => momentOf(midnight(at)),
    startOfWeek(at) {
      const day = midnight(at)
      return momentOf(day - ((new Date(day).getUTCDay() + 6) % 7) * dayMs)
    },
    startOfMonth: (at) => monthOf(at, 0),
    dayAfter: (at, days) => momentOf(midnight(at) + days * dayMs),
    monthAfter: monthOf,
    dateAt: (year, month, day) => momentOf(Date.UTC(year, month - 1, day)),
    text(at) {
      const minutes = Math.round(offset(at) / 60_000)
      const two = (value: number): string => String(value).padStart(2, '0')
      const size = Math.abs(minutes)
      const zone =
        minutes === 0 ? 'Z' : `${minutes < 0 ? '-' : '+'}${two(Math.floor(size / 60))}:${two(size % 60)}`
      return new Date(local(at)).toISOString().slice(0, 19) + zone
    },
  }
}

/** The local date and time of a zone, encoded as if it were UTC. */
function localTimeIn(name: string): (at: number) => number {
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone: name,
    calendar: 'gregory',
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  })
  return (at) => {
    const parts: Record<string, number> = {}
    for (const { type, value } of format.formatToParts(at)) parts[type] = Number(value)
    const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = parts
    return Date.UTC(year, month - 1, day, hour, minute, second)
  }
}

/** The same for UTC, without Intl, which every renewal of a budget slice would use. */
function wholeSeconds(at: number): number {
  return Math.floor(at / 1000) * 1000
}

/** Parses RFC 3339, or a date, which is its start in the zone. Undefined for anything else. */
export function momentOfText(text: string, zone: TimeZone): number | undefined {
  const [, year, month, day] = /^(\d{4})-(\d\d)-(\d\d)$/.exec(text) ?? []
  if (year !== undefined) {
    const isDate = new Date(`${text}T00:00:00Z`).toJSON()?.startsWith(text)
    return isDate ? zone.dateAt(Number(year), Number(month), Number(day)) : undefined
  }
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d)$/.test(text)) return undefined
  const at = Date.parse(text)
  return Number.isFinite(at) ? at : undefined
}
