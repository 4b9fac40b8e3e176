/**
 * What the node measures of itself: asks every child for a report and puts the answers together.
 *
 * Rates are the difference to the previous time somebody asked. A child that does not answer in
 * time is left out, and its shards come without figures.
 */
import { NO_CHILD } from '@kv/protocol'
import type { ChildReport, CopyReport, Fsync, ShardReport } from '../link/control.js'
import type { ChildPhase } from './child-state.js'
import type { NodeState } from './node-state.js'
import { movesToCome } from './settled.js'
import type { ShardPhase } from './shard-state.js'
import { primaryChild, shardPhase, shardReason } from './shard-state.js'

/** How long a child may take to report. */
const REPORT_TIMEOUT_MS = 1_000

export interface ProcessStats {
  readonly rssBytes: number
  readonly heapBytes: number
  /** CPU time used since the process started. */
  readonly cpuMs: number
}

export interface CoordinatorStats extends ProcessStats {
  readonly pid: number
  /** Of clients with the node's own port; each has one, and more if it goes straight to children. */
  readonly connections: number
  /** Batches handed to children and not answered yet. */
  readonly batchesInFlight: number
  /** When it acknowledges writes. */
  readonly fsync: Fsync
}

export interface ChildStats extends ProcessStats {
  readonly id: number
  readonly pid: number
  readonly state: ChildPhase
  /** It is not wanted any more: what it has moves to others, then it ends. */
  readonly isLeaving: boolean
  /** Of clients that go straight to it, past the coordinator. */
  readonly directConnections: number
  /** Shards it serves. */
  readonly primaries: number
  /** Copies it hosts, primaries among them. */
  readonly copies: number
  /** On disk, of the copies it hosts: states and logs. */
  readonly bytes: number
  /** Of the shards it serves, since the last time somebody asked. */
  readonly readsPerSecond?: number
  readonly writesPerSecond?: number
}

/** Where the node is on its way to where everything belongs. */
export interface ScalingStats {
  /** Children that the node is to have. */
  readonly children: number
  /** Shards that are to be served by another child than now. */
  readonly shardsToMove: number
  /** Whether nothing is left to do: see `KvNode.scale`. */
  readonly isSettled: boolean
}

/** Figures are missing while no child serves the shard, or if its child did not answer. */
export interface ShardStats extends Partial<Omit<ShardReport, 'shard' | 'epoch'>> {
  readonly id: number
  readonly epoch: number
  /** The child that serves the shard; 0 while none does. */
  readonly primary: number
  readonly state: ShardPhase
  /** The child that is to serve it, if that is not the one that does. */
  readonly movesTo?: number
  /** Why it is not open. */
  readonly reason?: string
  readonly readsPerSecond?: number
  readonly writesPerSecond?: number
  /** Its copies that are open as backups, where their children answered; absent if there are none. */
  readonly backups?: readonly BackupStats[]
}

export interface BackupStats extends Omit<CopyReport, 'shard'> {
  readonly child: number
}

export interface NodeStats {
  readonly coordinator: CoordinatorStats
  readonly scaling: ScalingStats
  readonly children: readonly ChildStats[]
  readonly shards: readonly ShardStats[]
}

interface Asked {
  readonly missing: Set<number>
  readonly reports: Map<number, ChildReport>
  readonly finish: () => void
}

interface Counted {
  readonly epoch: number
  readonly reads: number
  readonly writes: number
  readonly atMs: number
}

export class Statistics {
  /** Asks every child that is ready; returns which. */
  private readonly ask: (nonce: number) => readonly number[]
  private readonly open = new Map<number, Asked>()
  private readonly counted = new Map<number, Counted>()
  private lastNonce = 0
  private current: Promise<ReadonlyMap<number, ChildReport>> | undefined
  private next: Promise<ReadonlyMap<number, ChildReport>> | undefined

  constructor(ask: (nonce: number) => readonly number[]) {
    this.ask = ask
  }

  /**
   * Child → report, of all that answer in time, in the order of the children. Whoever asks while
   * children are being asked gets what they are asked next: that is done once, however many ask.
   */
  collect(): Promise<ReadonlyMap<number, ChildReport>> {
    if (this.next !== undefined) return this.next
    if (this.current === undefined) return this.begin()
    const next = this.current.then(() => {
      this.next = undefined
      return this.begin()
    })
    this.next = next
    return next
  }

  private begin(): Promise<ReadonlyMap<number, ChildReport>> {
    const current = this.collectOnce()
    this.current = current
    return current.finally(() => {
      if (this.current === current) this.current = undefined
    })
  }

  private async collectOnce(): Promise<ReadonlyMap<number, ChildReport>> {
    this.lastNonce += 1
    const nonce = this.lastNonce
    const reports = new Map<number, ChildReport>()
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, REPORT_TIMEOUT_MS)
      const finish = (): void => {
        clearTimeout(timer)
        resolve()
      }
      const missing = new Set(this.ask(nonce))
      this.open.set(nonce, { missing, reports, finish })
      if (missing.size === 0) finish()
    })
    this.open.delete(nonce)
    return new Map([...reports].sort(([one], [other]) => one - other))
  }

  onReport(child: number, nonce: number, report: ChildReport): void {
    const asked = this.open.get(nonce)
    if (asked === undefined) return
    asked.reports.set(child, report)
    asked.missing.delete(child)
    if (asked.missing.size === 0) asked.finish()
  }

  onChildExit(child: number): void {
    for (const asked of this.open.values()) {
      if (asked.missing.delete(child) && asked.missing.size === 0) asked.finish()
    }
  }

  /** `nowMs` is monotonic. */
  shards(
    state: NodeState,
    reports: ReadonlyMap<number, ChildReport>,
    nowMs: number,
  ): readonly ShardStats[] {
    const measured = new Map<number, ShardReport>()
    for (const [child, report] of reports) {
      for (const figures of report.shards) {
        const shard = state.shards[figures.shard]
        if (shard !== undefined && primaryChild(shard) === child) measured.set(shard.id, figures)
      }
    }
    const backups = backupsIn(reports)
    const moves = movesToCome(state, nowMs)
    return state.shards.map((shard) => {
      const { id, epoch } = shard
      const primary = state.published.primaries[id] ?? NO_CHILD
      const reason = shardReason(shard)
      const told = {
        id,
        epoch,
        primary,
        state: shardPhase(shard),
        ...(moves.has(id) ? { movesTo: moves.get(id)! } : {}),
        ...(reason === '' ? {} : { reason }),
        ...(backups.has(id) ? { backups: backups.get(id)! } : {}),
      }
      const report = measured.get(id)
      if (report?.epoch !== epoch) return told
      const { shard: _, ...figures } = report
      return { ...told, ...figures, ...this.rates(report, nowMs) }
    })
  }

  private rates(report: ShardReport, nowMs: number): Partial<ShardStats> {
    const { shard, epoch, reads, writes } = report
    const before = this.counted.get(shard)
    this.counted.set(shard, { epoch, reads, writes, atMs: nowMs })
    // Counters begin anew with each epoch.
    if (before?.epoch !== epoch || nowMs <= before.atMs) return {}
    const seconds = (nowMs - before.atMs) / 1_000
    return {
      readsPerSecond: (reads - before.reads) / seconds,
      writesPerSecond: (writes - before.writes) / seconds,
    }
  }
}

function backupsIn(reports: ReadonlyMap<number, ChildReport>): Map<number, BackupStats[]> {
  const byShard = new Map<number, BackupStats[]>()
  for (const [child, { copies }] of reports) {
    for (const { shard, ...figures } of copies) {
      const known = byShard.get(shard) ?? []
      byShard.set(shard, [...known, { child, ...figures }])
    }
  }
  return byShard
}
