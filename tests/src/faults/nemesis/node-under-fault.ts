/**
 * A node whose processes are killed, stopped and started again under it, always on the same directory
 * and port. It counts what was done to it.
 */
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { SeededRandom } from '../../load/seeded-random.js'
import type { ServeOptions } from '../../scene/node-process.js'
import { NodeProcess } from '../../scene/node-process.js'
import { isRunning, isStopped, killNow, untilGone } from '../../scene/process-table.js'
import { until } from '../../scene/until.js'
import { readinessOf } from '../../scene/readiness.js'
import type { Deed, Fired } from '../failpoints/trigger.js'
import type { Role } from '../inside/role.js'

interface StoredTopology {
  readonly shards: readonly {
    readonly primary: number
    readonly copies: readonly { readonly child: number; readonly volume: number }[]
    /** As records of several copies have it; the primary alone where there is one. */
    readonly inSync?: { readonly version: number; readonly members: readonly number[] }
  }[]
  readonly processes: readonly { readonly child: number; readonly pid: number }[]
}

/** A shard whose primary and whose backup in sync are in two processes that run. */
export interface Pair {
  readonly shard: number
  readonly primaryPid: number
  readonly backupPid: number
  /** Of the backup. */
  readonly copy: number
  /** Grows with each change of the set in sync, and with each new primary. */
  readonly setVersion: number
}

/** What was done to the files of a copy. */
export interface Harm {
  readonly copy: string
  readonly what: string
}

export interface FaultCounts {
  kills: number
  coordinatorKills: number
  stops: number
  scales: number
  starts: number
}

const GONE_PATIENCE_MS = 15_000
const READINESS_MS = 1_000

export class NodeUnderFault {
  readonly counts: FaultCounts = { kills: 0, coordinatorKills: 0, stops: 0, scales: 0, starts: 0 }
  private readonly options: ServeOptions
  private node: NodeProcess | undefined
  private readonly stopped = new Set<number>()
  /** Shards of which a copy was lost or damaged, and may not be in order again. */
  private readonly harmed = new Set<number>()
  /** Standard error of the coordinators that are gone. */
  private formerLogs = ''
  private notes = ''

  constructor(options: ServeOptions & { readonly port: number }) {
    this.options = options
  }

  get directory(): string {
    return this.options.directory
  }

  /** What coordinators and children said, from the first to the last. */
  get log(): string {
    return this.formerLogs + (this.node?.log ?? '') + this.notes
  }

  /** What the node says of shards that no copy can be opened of. */
  damageTold(): string[] {
    return this.log.split('\n').filter((line) => line.includes('is damaged and stays unavailable'))
  }

  /** A line of our own for the log, where it belongs in time. */
  note(line: string): void {
    this.notes += `${line}\n`
  }

  get url(): string {
    return this.node?.url ?? ''
  }

  /** Starts a coordinator. It may be killed before it serves; then this rejects with `NotServing`. */
  async start(): Promise<void> {
    this.counts.starts += 1
    await NodeProcess.start(this.options, (spawned) => {
      this.node = spawned
    })
  }

  /** Children as the coordinator has them on record, those that are running. */
  childPids(): number[] {
    return this.stored()
      .processes.map(({ pid }) => pid)
      .filter((pid) => isRunning(pid))
  }

  /** The shards that this process serves, by the record. */
  shardsOf(pid: number): number[] {
    const { shards, processes } = this.stored()
    const child = processes.find((process) => process.pid === pid)?.child
    return [...shards.keys()].filter((shard) => {
      const { primary, copies } = shards[shard]!
      return child !== undefined && copies[primary]?.child === child
    })
  }

  /**
   * Does something to the files of one copy of a shard, while nothing runs: of a copy of which there
   * is another in sync or, where there is one only, which has a snapshot. To one shard once, until it
   * is known to be whole again.
   */
  harmCopy(
    random: SeededRandom,
    harm: (directory: string) => string | undefined,
    isFit: (directory: string) => boolean = () => true,
  ): Harm | undefined {
    const choices = [...this.stored().shards.entries()].flatMap(([shard, { inSync }]) => {
      const members = inSync?.members ?? [0]
      if (members.length < Math.min(2, this.replicationFactor)) return []
      const copies = members.map((copy) => this.directoryOf(shard, copy))
      return this.harmed.has(shard) ? [] : copies.filter(isFit).map((copy) => ({ shard, copy }))
    })
    if (choices.length === 0) return undefined
    const { shard, copy } = random.pick(choices)
    const what = harm(copy)
    if (what === undefined) return undefined
    this.harmed.add(shard)
    return { copy, what }
  }

  /** The directories of all copies. */
  copies(): string[] {
    return this.stored().shards.flatMap(({ copies }, shard) =>
      copies.map((_, copy) => this.directoryOf(shard, copy)),
    )
  }

  /** Resolves when every copy of every shard is in sync; rejects if that takes too long. */
  async untilWhole(patienceMs: number): Promise<void> {
    const isWhole = ({ inSync, copies }: StoredTopology['shards'][number]): boolean =>
      inSync === undefined || inSync.members.length === copies.length
    await until(
      'every copy is in sync',
      async () => this.stored().shards.every(isWhole) && (await this.isServing()),
      patienceMs,
    )
    this.harmed.clear()
  }

  /** Of each shard that has a backup in sync, at most one. */
  pairs(): Pair[] {
    const stored = this.stored()
    return [...stored.shards.keys()].flatMap((shard) => pairIn(stored, shard) ?? [])
  }

  pairOf(shard: number): Pair | undefined {
    return pairIn(this.stored(), shard)
  }

  /** kill -9 of a backup's process, and its files are gone: before anybody else may open them. */
  killWithCopy({ shard, copy, backupPid }: Pair): void {
    // What was done to the other copy may not be in order yet.
    if (!this.harmed.has(shard)) {
      process.kill(backupPid, 'SIGSTOP')
      rmSync(this.directoryOf(shard, copy), { recursive: true, force: true })
      this.harmed.add(shard)
    }
    this.kill(backupPid)
  }

  /** The copy of the shard to which something was done is in sync again. */
  cameBack(shard: number): void {
    this.harmed.delete(shard)
  }

  private get replicationFactor(): number {
    return this.options.replicationFactor ?? 1
  }

  private directoryOf(shard: number, copy: number): string {
    return join(this.directory, 'shards', String(shard), String(copy))
  }

  private stored(): StoredTopology {
    const text = readFileSync(join(this.directory, 'topology.json'), 'utf8')
    return (JSON.parse(text) as { record: StoredTopology }).record
  }

  kill(pid: number): void {
    if (!isRunning(pid)) return
    killNow(pid)
    this.stopped.delete(pid)
    this.counts.kills += 1
  }

  async killCoordinator(): Promise<void> {
    const { node } = this
    if (node === undefined || node.hasEnded) return
    this.counts.kills += 1
    this.counts.coordinatorKills += 1
    await node.kill()
    this.formerLogs += node.log
  }

  /** Everything at once; resolves when nothing of it is left. */
  async killAll(): Promise<void> {
    const pids = this.childPids()
    const coordinator = this.killCoordinator()
    for (const pid of pids) this.kill(pid)
    await coordinator
    await untilGone(pids, GONE_PATIENCE_MS)
  }

  /** SIGSTOP for so long. One that was killed meanwhile is left in peace. */
  async stop(pid: number, ms: number): Promise<void> {
    if (!isRunning(pid) || this.stopped.has(pid)) return
    process.kill(pid, 'SIGSTOP')
    this.counts.stops += 1
    this.stopped.add(pid)
    await delay(ms)
    this.resume(pid)
  }

  /** Lets a process go on that stops itself, and has said so a moment before. */
  async resumeAfter(pid: number, ms: number): Promise<void> {
    this.counts.stops += 1
    this.stopped.add(pid)
    // One that is told to go on too soon would then stop for ever.
    await until(`${pid} stands still`, () => isStopped(pid) || !isRunning(pid), GONE_PATIENCE_MS)
    await delay(ms)
    this.resume(pid)
  }

  /** A process has killed itself, as was asked of it; a child, perhaps, its coordinator as well. */
  async tookItsLife({ pid, coordinator }: Fired, role: Role, deed: Deed): Promise<void> {
    this.counts.kills += deed === 'kill-both' ? 2 : 1
    if (role === 'coordinator' || deed === 'kill-both') this.counts.coordinatorKills += 1
    // One that is on its way out must not be taken for one that runs.
    await untilGone(deed === 'kill-both' ? [pid, coordinator] : [pid], GONE_PATIENCE_MS)
  }

  private resume(pid: number): void {
    if (!this.stopped.delete(pid) || !isRunning(pid)) return
    process.kill(pid, 'SIGCONT')
  }

  /** Rejects what no fault explains: a coordinator that is gone without having been killed. */
  assertAlive(): void {
    if (this.node?.hasCrashed !== true) return
    throw new Error(`the coordinator ended by itself:\n${this.node.log.slice(-2_000)}`)
  }

  get isRunning(): boolean {
    // By the system's word: its exit is heard of a moment after it has ended.
    return this.node !== undefined && isRunning(this.node.pid)
  }

  /**
   * Whether this part of its shards take writes, by its own word. One that is stopped or gone does not
   * say so.
   */
  async isServing(part = 1): Promise<boolean> {
    const missing = await this.missing()
    if (missing === undefined) return false
    // As many copies in sync as a write waits for.
    const needed = this.options.minInSync ?? Math.min(2, this.replicationFactor)
    const { shards } = this.stored()
    const waiting = [...shards.keys()].filter((shard) => {
      return (shards[shard]?.inSync?.members.length ?? 1) < needed
    })
    const down = new Set([...waiting, ...missing])
    return shards.length - down.size >= part * shards.length
  }

  /** Which shards each process serves, by its own word: those that serve any. */
  async servedBy(): Promise<Map<number, number[]>> {
    const missing = await this.missing()
    if (missing === undefined) return new Map()
    const all = this.childPids().map((pid): [number, number[]] => {
      return [pid, this.shardsOf(pid).filter((shard) => !missing.has(shard))]
    })
    return new Map(all.filter(([, shards]) => shards.length > 0))
  }

  /** `undefined` if it does not say. */
  private async missing(): Promise<Set<number> | undefined> {
    if (!this.isRunning || this.url === '') return undefined
    try {
      const { missing } = await readinessOf(this.url, AbortSignal.timeout(READINESS_MS))
      return new Set(missing.map(({ shard }) => shard))
    } catch {
      return undefined
    }
  }

  /** Tells the node to have so many children. One that is stopped or gone is not told. */
  async scale(children: number): Promise<void> {
    if (!this.isRunning || this.url === '') return
    const url = `${this.url.replace('kv:', 'http:')}/scale?children=${children}`
    const signal = AbortSignal.timeout(READINESS_MS)
    const response = await fetch(url, { method: 'POST', signal }).catch(() => undefined)
    if (response?.status === 202) this.counts.scales += 1
    else if (response?.status === 400) throw new Error(await response.text())
  }

  get coordinatorPid(): number {
    return this.node?.pid ?? 0
  }

  /** Ends it as an operator would; kills what does not end. */
  async close(): Promise<void> {
    for (const pid of this.stopped) this.resume(pid)
    const { node } = this
    if (node === undefined || node.hasEnded) return
    const pids = this.childPids()
    // Once it has ended, nobody waits for the rest of that time: not the end of a run either.
    const patience = delay(GONE_PATIENCE_MS, undefined, { ref: false })
    await Promise.race([node.terminate(), patience])
    for (const pid of [node.pid, ...pids]) if (isRunning(pid)) killNow(pid)
    await untilGone([node.pid, ...pids], GONE_PATIENCE_MS)
    this.formerLogs += node.log
    this.node = undefined
  }
}

function pairIn({ shards, processes }: StoredTopology, shard: number): Pair | undefined {
  const { primary, copies, inSync } = shards[shard]!
  const pidOf = (copy: number): number | undefined => {
    const pid = processes.find(({ child }) => child === copies[copy]?.child)?.pid
    return pid !== undefined && isRunning(pid) ? pid : undefined
  }
  const primaryPid = pidOf(primary)
  if (inSync === undefined || primaryPid === undefined) return undefined
  for (const copy of inSync.members) {
    const backupPid = copy === primary ? undefined : pidOf(copy)
    const setVersion = inSync.version
    if (backupPid !== undefined && backupPid !== primaryPid)
      return { shard, primaryPid, backupPid, copy, setVersion }
  }
  return undefined
}
