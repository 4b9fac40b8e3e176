/**
 * Tells failovers from moves by what clients are told: a shard that lost its primary without being
 * released, or one that was released, has one again. Pure.
 */
import { NO_CHILD } from '@kv/protocol'
import type { Topology } from '@kv/protocol'
import type { ShardState } from './shard-state.js'
import { shardPhase } from './shard-state.js'

interface Handover {
  readonly shard: number
  /** The child that served it before. */
  readonly from: number
  readonly to: number
  readonly epoch: number
  /** How long nobody served it. */
  readonly durationMs: number
}

/** A shard has a primary again after it lost the former one; that may be the same child, back again. */
export interface Failover extends Handover {}

/** A shard was handed over to another child, so that each has its share. */
export interface Move extends Handover {}

interface Lost {
  readonly from: number
  readonly sinceMs: number
  readonly isMove: boolean
}

export class FailoverWatch {
  private readonly lost = new Map<number, Lost>()
  private before: Topology

  constructor(first: Topology) {
    this.before = first
  }

  /** `nowMs` is monotonic; `shards` are as they stand at the publication. */
  onPublish(
    next: Topology,
    shards: readonly ShardState[],
    nowMs: number,
  ): { readonly failovers: Failover[]; readonly moves: Move[] } {
    const failovers: Failover[] = []
    const moves: Move[] = []
    for (const [shard, to] of next.primaries.entries()) {
      const from = this.before.primaries[shard]!
      if (to === NO_CHILD && from !== NO_CHILD) {
        const isMove = shardPhase(shards[shard]!) === 'releasing'
        this.lost.set(shard, { from, sinceMs: nowMs, isMove })
      } else if (to !== NO_CHILD) {
        const lost = this.lost.get(shard)
        this.lost.delete(shard)
        if (lost === undefined) continue
        const durationMs = nowMs - lost.sinceMs
        const handover = { shard, from: lost.from, to, epoch: next.epochs[shard]!, durationMs }
        if (!lost.isMove) failovers.push(handover)
        else if (to !== lost.from) moves.push(handover)
      }
    }
    this.before = next
    return { failovers, moves }
  }
}
