/** Numbers, durations and dates as text, in the language and time zone of the browser. */

const compactFormat = new Intl.NumberFormat(undefined, { notation: 'compact', maximumFractionDigits: 1 })
const wholeFormat = new Intl.NumberFormat()
export const none = '–'

export const compact = (value) => (value < 10_000 ? whole(value) : compactFormat.format(value))
export const whole = (value) => wholeFormat.format(Math.round(value))
/** A fraction such as a weight, with at most two decimals. */
export const share = (value) => String(Math.round(value * 100) / 100)
export const percent = (share) => `${Math.round(share * 100)} %`
export const plural = (count, one, many = `${one}s`) => `${whole(count)} ${count === 1 ? one : many}`
export const sum = (numbers) => numbers.reduce((total, number) => total + number, 0)

export function rate(value) {
  if (value === undefined || value === null) return none
  return value < 10 ? String(Math.round(value * 10) / 10) : whole(value)
}

export function ms(value) {
  if (value === undefined || value === null) return none
  if (value < 1_000) return `${Math.round(value)} ms`
  return value < 60_000 ? `${(value / 1_000).toFixed(1)} s` : duration(value / 1_000)
}

export function duration(seconds) {
  if (seconds < 60) return `${Math.ceil(seconds)} s`
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min`
  const hours = Math.floor(seconds / 3_600)
  return hours < 48
    ? `${hours} h ${Math.floor((seconds % 3_600) / 60)} min`
    : `${Math.floor(hours / 24)} days`
}

/** With fewer requests, the numbers say more than a rate. */
const enoughForRate = 20

/** Failures as "1 of 3" until there are enough requests for a percentage. */
export function failures(failed, all) {
  if (all === 0) return none
  if (all < enoughForRate) return `${failed} of ${all}`
  const share = (failed / all) * 100
  return failed > 0 && share < 0.1
    ? '< 0.1 %'
    : `${share < 10 ? Math.round(share * 10) / 10 : Math.round(share)} %`
}

const isToday = (date) => date.toDateString() === new Date().toDateString()
export function clock(when) {
  const date = new Date(when)
  const time = date.toLocaleTimeString(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit' })
  return isToday(date)
    ? time
    : `${date.toLocaleDateString(undefined, { day: 'numeric', month: 'short' })} ${time}`
}
export const moment = (when) =>
  new Date(when).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' })
export const day = (when) => new Date(when).toLocaleDateString(undefined, { day: 'numeric', month: 'short' })
