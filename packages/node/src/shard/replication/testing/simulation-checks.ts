/**
 * What must hold in a simulation at every moment: it knows what was committed first at each revision,
 * and what was acknowledged.
 */
import { lastRevisionOf } from '../../log/frame.js'
import type { ModelFrame } from './model-state.js'
import { ModelState } from './model-state.js'
import type { ReplicaDisk } from './replica-disk.js'

export class SimulationChecks {
  acknowledgedRevision = 0
  /** By revision, in order: what was committed there, as any copy saw it first. */
  private readonly truth = new Map<number, ModelFrame>()

  /** A copy takes up to here for committed. */
  apply(copy: number, disk: ReplicaDisk, revision: number): void {
    const { frames } = disk
    let index = frames.length
    while (index > 0 && lastRevisionOf(frames[index - 1]!) > disk.appliedRevision) index -= 1
    for (; index < frames.length; index += 1) {
      const frame = frames[index]!
      const last = lastRevisionOf(frame)
      if (last > revision) return
      const known = this.truth.get(last)
      if (known === undefined) this.truth.set(last, frame)
      else if (known.checksum !== frame.checksum) {
        throw new Error(
          `P2: copy ${copy} applies a record of epoch ${frame.epoch} at ${last}, ` +
            `where one of epoch ${known.epoch} was applied`,
        )
      }
      disk.appliedRevision = last
    }
  }

  /** A member of the persisted set has all that was acknowledged. */
  checkMember(copy: number, disk: ReplicaDisk): void {
    const { acknowledgedRevision } = this
    if (!disk.isWhole) {
      throw new Error(`P1: copy ${copy} is in sync and has not caught up with its snapshot`)
    }
    if (disk.last.revision < acknowledgedRevision) {
      throw new Error(
        `P1: copy ${copy} is in sync and ends at ${disk.last.revision}, ` +
          `${acknowledgedRevision} was acknowledged`,
      )
    }
    const at = disk.frames.findLast((frame) => lastRevisionOf(frame) <= acknowledgedRevision)
    const known = at === undefined ? undefined : this.truth.get(lastRevisionOf(at))
    if (at !== undefined && known?.checksum !== at.checksum) {
      throw new Error(`P1: copy ${copy} is in sync and has another record than was acknowledged`)
    }
  }

  /** The state of a copy that says to be whole is the fold of what it holds. */
  checkState(copy: number, disk: ReplicaDisk): void {
    if (!disk.isWhole) return
    const state = disk.stored.clone()
    let upTo = disk.storedRevision
    for (const frame of disk.frames) {
      const last = lastRevisionOf(frame)
      if (last <= disk.storedRevision) continue
      if (this.truth.get(last)?.checksum !== frame.checksum) break
      state.fold(frame)
      upTo = last
    }
    if (upTo < disk.applyingRevision) return
    if (state.describe() !== this.fold(upTo)) {
      throw new Error(`P2: the state of copy ${copy} at ${upTo} is not the fold of its log`)
    }
  }

  private fold(upTo: number): string {
    const state = new ModelState()
    for (const [revision, frame] of this.truth) {
      if (revision > upTo) break
      state.fold(frame)
    }
    return state.describe()
  }
}
