import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isTimeZone, timeZone } from '../../src/lib/time-zone.ts'

const at = (text: string): number => Date.parse(text)
const iso = (moment: number): string => new Date(moment).toISOString()

test('days are 23 and 25 hours long when the clocks change', () => {
  const warsaw = timeZone('Europe/Warsaw')
  const spring = warsaw.startOfDay(at('2026-03-29T10:00:00Z'))
  assert.equal(iso(spring), '2026-03-28T23:00:00.000Z')
  assert.equal(warsaw.dayAfter(spring, 1) - spring, 23 * 3_600_000)
  const autumn = warsaw.startOfDay(at('2026-10-25T01:30:00Z'))
  assert.equal(iso(autumn), '2026-10-24T22:00:00.000Z')
  assert.equal(warsaw.dayAfter(autumn, 1) - autumn, 25 * 3_600_000)
})

test('weeks begin on Monday and months on their first day, across a change of the clocks', () => {
  const warsaw = timeZone('Europe/Warsaw')
  assert.equal(iso(warsaw.startOfWeek(at('2026-03-29T22:30:00Z'))), '2026-03-29T22:00:00.000Z')
  assert.equal(iso(warsaw.startOfWeek(at('2026-03-29T21:59:59Z'))), '2026-03-22T23:00:00.000Z')
  assert.equal(iso(warsaw.startOfMonth(at('2026-03-31T12:00:00Z'))), '2026-02-28T23:00:00.000Z')
  assert.equal(iso(warsaw.monthAfter(at('2026-03-31T12:00:00Z'), 1)), '2026-03-31T22:00:00.000Z')
  assert.equal(iso(warsaw.monthAfter(at('2026-12-31T12:00:00Z'), 1)), '2026-12-31T23:00:00.000Z')
})

test('a zone that is 5 hours and 45 minutes ahead has its own days', () => {
  const kathmandu = timeZone('Asia/Kathmandu')
  assert.equal(iso(kathmandu.startOfDay(at('2026-05-01T18:14:59Z'))), '2026-04-30T18:15:00.000Z')
  assert.equal(iso(kathmandu.startOfDay(at('2026-05-01T18:15:00Z'))), '2026-05-01T18:15:00.000Z')
  assert.equal(kathmandu.text(at('2026-05-01T18:15:00Z')), '2026-05-02T00:00:00+05:45')
})

test('a day without a midnight begins when the clocks go forward', () => {
  const beirut = timeZone('Asia/Beirut')
  assert.equal(iso(beirut.startOfDay(at('2026-03-29T12:00:00Z'))), '2026-03-28T22:00:00.000Z')
  assert.equal(beirut.text(at('2026-03-28T22:00:00Z')), '2026-03-29T01:00:00+03:00')
})

test('a day with two midnights begins at the first one', () => {
  const havana = timeZone('America/Havana')
  const start = havana.startOfDay(at('2026-11-01T12:00:00Z'))
  assert.equal(iso(start), '2026-11-01T04:00:00.000Z')
  assert.equal(havana.dayAfter(start, 1) - start, 25 * 3_600_000)
})

test('any moment of a year lies between the beginnings of its day and of the next one', () => {
  for (const name of ['UTC', 'Europe/Warsaw', 'Asia/Kathmandu', 'Australia/Lord_Howe', 'America/St_Johns']) {
    const zone = timeZone(name)
    const day = 86_400_000
    for (let moment = at('2026-01-01T00:07:00Z'); moment < at('2027-01-01T00:00:00Z'); moment += day / 3) {
      const start = zone.startOfDay(moment)
      const end = zone.dayAfter(moment, 1)
      assert.ok(start <= moment && moment < end && end - start <= 25 * 3_600_000, `${name} ${iso(moment)}`)
      assert.equal(zone.startOfDay(end - 1), start, `${name} ${iso(moment)}`)
      assert.match(zone.text(start), /T00:00:00/)
    }
  }
})

test('only names of the IANA database are time zones', () => {
  assert.deepEqual(['Europe/Warsaw', 'UTC', 'Nowhere/City', ''].map(isTimeZone), [true, true, false, false])
})
