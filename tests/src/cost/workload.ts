/** Calls whose cost in memory is measured. */

export interface Workload {
  readonly name: string
  /** Makes some calls; resolves when they are answered with their number, or that of their keys. */
  readonly round: () => Promise<number>
}

/** Heard of each batch while it is under way: the moment to collect, or to do nothing. */
export const underWay: { onBatch(): void } = { onBatch: () => undefined }

/** The length of values in the core table of the benchmarks. */
export const VALUE: string = 'v'.repeat(100)

export const IN_FLIGHT: number = 256

/** Few, so that what is stored stays the same from round to round. */
export const KEYS: readonly string[] = Array.from({ length: 200 }, (_, index) => `key:${index}`)
