/** What is said of several rounds of the same. */

export interface Spread {
  readonly median: number
  readonly least: number
  readonly most: number
}

/** NaN of nothing. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((one, other) => one - other)
  const middle = sorted.length / 2
  const upper = sorted[Math.floor(middle)] ?? Number.NaN
  const lower = sorted[Math.ceil(middle) - 1] ?? Number.NaN
  return (lower + upper) / 2
}

/** All of them, from the least to the most: five values have no quartiles worth the name. */
export function spreadOf(values: readonly number[]): Spread {
  return {
    median: median(values),
    least: values.length === 0 ? Number.NaN : Math.min(...values),
    most: values.length === 0 ? Number.NaN : Math.max(...values),
  }
}
