/**
 * Has the primaries of a child take their snapshots one after the other: several at once would make the
 * logs wait for the disk. The one that has been due the longest comes first.
 */
import type { Shard } from '../shard/shard.js'

export class SnapshotTurns {
  private isTaking = false

  /** To be called a few times a second. */
  onTick(primaries: Iterable<{ readonly shard: Pick<Shard, 'snapshots'> }>): void {
    if (this.isTaking) return
    let first: Shard['snapshots']
    let firstMs = Infinity
    for (const { shard } of primaries) {
      const dueMs = shard.snapshots?.dueSinceMs ?? Infinity
      if (dueMs >= firstMs) continue
      first = shard.snapshots
      firstMs = dueMs
    }
    if (first === undefined) return
    this.isTaking = true
    void first.take().finally(() => {
      this.isTaking = false
    })
  }
}
