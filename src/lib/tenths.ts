/** Rounded to one decimal, as times and rates are shown. */
export function tenths(value: number): number {
  return Math.round(value * 10) / 10
}
