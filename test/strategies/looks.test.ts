import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Looks } from '../../src/strategies/looks.ts'

/** Which of so many picks look at all targets, by their number. */
function looksIn(picks: number, targets: number, clock: (pick: number) => number): number[] {
  const looks = new Looks()
  return Array.from({ length: picks }, (_, pick) => pick).filter((pick) => looks.isDue(targets, clock(pick)))
}

test('up to a hundred targets are looked at for every pick', () => {
  assert.deepEqual(
    looksIn(4, 100, () => 0),
    [0, 1, 2, 3],
  )
})

test('of a thousand, all are looked at after ten picks where picks are rare', () => {
  assert.deepEqual(
    looksIn(30, 1_000, (pick) => pick * 5),
    [0, 11, 22],
  )
})

test('where picks are many, after 20 ms or a hundred picks', () => {
  assert.deepEqual(
    looksIn(90, 1_000, (pick) => pick / 2),
    [0, 40, 80],
  )
  assert.deepEqual(
    looksIn(210, 1_000, () => 0),
    [0, 101, 202],
  )
})

test('weights that were set count with the next pick', () => {
  const looks = new Looks()
  looks.isDue(1_000, 0)
  assert.equal(looks.isDue(1_000, 0), false)
  looks.demand()
  assert.equal(looks.isDue(1_000, 0), true)
})
