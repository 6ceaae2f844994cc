/** Rounds to one decimal. */
export function tenths(value: number): number {
  return Math.round(value * 10) / 10
}

/**
 * Exponential moving average. `before`: undefined without an earlier value. `weight`: that of the new value; by default,
 * roughly the last ten values count.
 */
export function movingAverage(before: number | undefined, value: number, weight = 0.2): number {
  return before === undefined ? value : before + weight * (value - before)
}

/** Formats a rounded number with thousands separators, such as `3,072`. */
export function formatCount(count: number): string {
  return Math.round(count).toLocaleString('en-US')
}

/** Removes the noise of floating-point sums, such as that of 0.1 + 0.2. */
export function withoutFloatNoise(value: number): number {
  return Number(value.toPrecision(12))
}
