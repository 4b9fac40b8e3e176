/** What a simulation is of, and with which bugs in what stands around replication. */
import type { CoordinatorBugs } from './simulated-coordinator.js'

export interface SeededBugs extends CoordinatorBugs {
  /** A follower drops what it does not know to be committed. */
  readonly cutsAtCommit?: boolean
  readonly ignoresMinInSync?: boolean
  readonly leavesSessionsOut?: boolean
  /** The copy does not note how far the pages of its snapshot go. */
  readonly forgetsEnd?: boolean
  /** A frame that is written counts as one that is synced. */
  readonly countsUnsynced?: boolean
  /** Not a bug: messages of other epochs turn up often, and may break conversations. */
  readonly toleratesBreaks?: boolean
}

export interface SimulationOptions {
  readonly copies: number
  readonly minInSync: number
  readonly random: () => number
  readonly bugs?: SeededBugs
}
