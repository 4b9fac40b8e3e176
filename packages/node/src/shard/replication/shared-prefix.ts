/**
 * Up to where two logs can be the same, told from what each knows of its epochs. Pure.
 *
 * `(epoch, revision)` names one record for ever, so within an epoch that both have, the shorter log is
 * a prefix of the longer. They part where the highest common epoch ends in one of them.
 */
import type { EpochStart } from '../log/epoch-table.js'

export interface LogOutline {
  readonly lastRevision: number
  readonly epochs: readonly EpochStart[]
}

/**
 * The highest revision that both may share, 0 for none. A jump may make it a revision that neither
 * log has: the last frame at or before it is meant. `undefined` if the tables have no epoch in
 * common although both logs hold frames: too much was forgotten to tell.
 */
export function sharedPrefix(one: LogOutline, other: LogOutline): number | undefined {
  if (one.lastRevision === 0 || other.lastRevision === 0) return 0
  for (const start of one.epochs.toReversed()) {
    const same = other.epochs.find(({ epoch }) => epoch === start.epoch)
    if (same === undefined) continue
    // The same epoch begins with the same record: anything else is not the same shard's log.
    if (same.firstRevision !== start.firstRevision) return undefined
    return Math.min(endOf(one, start.epoch), endOf(other, start.epoch))
  }
  return undefined
}

function endOf({ epochs, lastRevision }: LogOutline, epoch: number): number {
  const index = epochs.findIndex((start) => start.epoch === epoch)
  const next = epochs[index + 1]
  return next === undefined ? lastRevision : next.firstRevision - 1
}
