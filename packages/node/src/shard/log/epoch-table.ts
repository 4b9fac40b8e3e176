/**
 * Which epoch began at which revision, oldest first. Two replicas find the last (epoch, revision)
 * they share by comparing their tables. The table is bounded (P7): when it is full the oldest epochs
 * are forgotten, and a replica that needs them is rebuilt instead. Pure.
 */

export interface EpochStart {
  readonly epoch: number
  readonly firstRevision: number
}

/** Fits the header block of a segment with room to spare; a new primary a day lasts eight months. */
export const EPOCH_STARTS_MAX = 240

/** The table after a frame; the same array when the frame belongs to the newest epoch. */
export function withEpoch(
  table: readonly EpochStart[],
  epoch: number,
  firstRevision: number,
): readonly EpochStart[] {
  if (table.at(-1)?.epoch === epoch) return table
  return [...table.slice(1 - EPOCH_STARTS_MAX), { epoch, firstRevision }]
}

export function isEpochTable(table: readonly EpochStart[]): boolean {
  return table.every((start, index) => {
    const before = table[index - 1]
    return (
      Number.isSafeInteger(start.epoch) &&
      Number.isSafeInteger(start.firstRevision) &&
      (before === undefined ||
        (start.epoch > before.epoch && start.firstRevision > before.firstRevision))
    )
  })
}
