/** Snapshots between simulated copies: fuzzy, a page of keys at a time. */
import type { LogPosition } from '../../log/position.js'
import type {
  SnapshotBegin,
  SnapshotEnd,
  SnapshotPart,
  SnapshotSource,
} from '../../snapshot/parts.js'
import { KEYS, ModelState } from './model-state.js'
import { ReplicaDisk } from './replica-disk.js'

const PAGE_KEYS = 3

type Rows = [entries: ModelState['entries'], sessions: ModelState['sessions']]

export class ModelSnapshot implements SnapshotSource {
  private readonly disk: ReplicaDisk
  private readonly committed: () => LogPosition
  private readonly later: (task: () => void) => void
  private readonly hasSessions: boolean
  private nextKey = -1
  private isOver = false

  constructor(
    disk: ReplicaDisk,
    committed: () => LogPosition,
    later: (task: () => void) => void,
    hasSessions: boolean,
  ) {
    this.disk = disk
    this.committed = committed
    this.later = later
    this.hasSessions = hasSessions
  }

  next(onPart: (part: SnapshotPart) => void): void {
    this.later(() => {
      if (!this.isOver) onPart(this.make())
    })
  }

  private make(): SnapshotPart {
    const state = this.disk.committed()
    if (this.nextKey === -1) {
      this.nextKey = 0
      this.sessions = this.hasSessions ? state.sessions : new Map()
      const start = this.committed()
      const epochs = this.disk.epochs.filter((each) => each.firstRevision <= start.revision)
      return { type: 'snapshotBegin', begin: { start, epochs, sessionFloor: 0 } }
    }
    if (this.nextKey >= KEYS) return this.end()
    const from = this.nextKey
    this.nextKey += PAGE_KEYS
    const entries = new Map(
      Array.from(state.entries).filter(([key]) => key >= from && key < this.nextKey),
    )
    const rows: Rows = [entries, from === 0 ? this.sessions : new Map()]
    // Carried by reference: what the bytes look like is for others to try.
    return { type: 'snapshotPage', page: rows as unknown as Buffer }
  }

  private sessions: ModelState['sessions'] = new Map()

  private end(): SnapshotPart {
    const counts = { sessions: 0, entries: 0, checksum: 0 }
    const end = { revision: this.committed().revision, timeMs: 0, ...counts }
    return { type: 'snapshotEnd', end }
  }

  close(): void {
    this.isOver = true
  }
}

/** What a follower makes of it: another directory, in place of its own once it is whole. */
export class ModelBuild {
  private readonly begin: SnapshotBegin
  private readonly state = new ModelState()

  constructor(begin: SnapshotBegin) {
    this.begin = begin
  }

  takePage(page: Buffer): void {
    const [entries, sessions] = page as unknown as Rows
    this.state.take(entries, sessions)
  }

  disk(end: SnapshotEnd): ReplicaDisk {
    const { start: position, epochs } = this.begin
    const { state } = this
    return new ReplicaDisk({ position, epochs, state, applyingRevision: end.revision })
  }
}
