/**
 * The copies of one shard in real directories, each in what stands for a process of its own, and a
 * coordinator reduced to what it persists: the epoch, the primary, the set of copies in sync.
 */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Fsync } from '../../link/control.js'
import { Backup } from '../backup.js'
import { Journals } from '../journal/journals.js'
import type { SetChange, StoredSet } from '../replication/in-sync-set.js'
import type { ReplicationOptions } from '../primary/replicated-log.js'
import { KillableFileSystem } from './killable-file-system.js'
import { ReplicationPipe } from './replication-pipe.js'
import { ShardUnderTest } from './shard-under-test.js'

interface Process {
  readonly fileSystem: KillableFileSystem
  readonly journals: Journals | undefined
  backup: Backup | undefined
  primary: ShardUnderTest | undefined
}

export interface ReplicaGroupOptions {
  readonly directory: string
  readonly copies: number
  readonly minInSync?: number
  readonly withJournals?: boolean
  /** Of the journals. */
  readonly fsync?: Fsync
  readonly files?: () => KillableFileSystem
  /** A line that breaks is made anew. */
  readonly reconnects?: boolean
}

export class ReplicaGroup {
  readonly clock = { nowMs: 1_000_000 }
  epoch = 0
  stored: StoredSet = { version: 1, members: [] }
  /** By copy: its conversation with the primary. */
  readonly pipes = new Map<number, ReplicationPipe>()
  /** Of processes that were not killed. */
  readonly failures: Error[] = []
  /** While false, the coordinator does not answer. */
  isAnswering = true
  private readonly options: ReplicaGroupOptions
  private readonly processes = new Map<number, Process>()
  private readonly known = new Set<number>()
  private hostings = 0
  private primaryCopy = 0
  private readonly unanswered: (() => void)[] = []

  constructor(options: ReplicaGroupOptions) {
    this.options = options
  }

  /** All copies, the first of them primary, and all of them in sync. */
  static async start(options: ReplicaGroupOptions): Promise<ReplicaGroup> {
    const group = new ReplicaGroup(options)
    for (let copy = 1; copy < options.copies; copy += 1) await group.host(copy)
    group.stored = { version: 1, members: [0] }
    await group.promote(0)
    await group.untilInSync(options.copies)
    return group
  }

  directoryOf(copy: number): string {
    return join(this.options.directory, `volume-${copy}`, 'shards', '5', `${copy}`)
  }

  get primary(): ShardUnderTest {
    const primary = this.processes.get(this.primaryCopy)?.primary
    if (primary === undefined) throw new Error('there is no primary')
    return primary
  }

  get hasPrimary(): boolean {
    return this.processes.get(this.primaryCopy)?.primary !== undefined
  }

  isAlive(copy: number): boolean {
    return this.processes.has(copy)
  }

  backup(copy: number): Backup {
    const backup = this.processes.get(copy)?.backup
    if (backup === undefined) throw new Error(`copy ${copy} is no backup`)
    return backup
  }

  /** The files of the process that hosts a copy. */
  filesOf(copy: number): KillableFileSystem {
    return this.process(copy).fileSystem
  }

  private process(copy: number): Process {
    const known = this.processes.get(copy)
    if (known !== undefined) return known
    const { fsync = 'always', files = () => new KillableFileSystem() } = this.options
    const fileSystem = files()
    const volume = join(this.options.directory, `volume-${copy}`)
    const journals =
      this.options.withJournals === true
        ? new Journals({ files: fileSystem, volume, childId: copy + 1, fsync })
        : undefined
    const made = { fileSystem, journals, backup: undefined, primary: undefined }
    this.processes.set(copy, made)
    return made
  }

  private replicaOptions(copy: number) {
    const { fileSystem, journals } = this.process(copy)
    const create = !this.known.has(copy)
    this.known.add(copy)
    return {
      directory: this.directoryOf(copy),
      create,
      clusterId: 'cluster-1',
      shard: 5,
      fileSystem,
      ...(journals === undefined ? {} : { journals }),
    }
  }

  /** Hosts a copy as backup, and has it follow the primary if there is one. */
  async host(copy: number): Promise<void> {
    const options = this.replicaOptions(copy)
    this.hostings += 1
    const process = this.process(copy)
    process.backup = await Backup.open({
      ...options,
      copy,
      hosting: this.hostings,
      clock: { now: () => this.clock.nowMs },
      onFailure: (error) => {
        if (this.processes.get(copy) === process) this.failures.push(error)
      },
    })
    this.connect(copy)
  }

  connect(copy: number): void {
    const primary = this.processes.get(this.primaryCopy)?.primary?.shard.replication
    const backup = this.processes.get(copy)?.backup
    if (primary === undefined || backup === undefined) return
    this.pipes.get(copy)?.cut()
    const pipe: ReplicationPipe = new ReplicationPipe({ primary, backup, copy }, () => {
      if (this.options.reconnects !== true || this.pipes.get(copy) !== pipe) return
      setImmediate(() => {
        if (this.pipes.get(copy) === pipe) this.connect(copy)
      })
    })
    this.pipes.set(copy, pipe)
  }

  /** One persisted step; then the copy is primary. Resolves when it serves. */
  async promote(copy: number): Promise<void> {
    this.epoch += 1
    this.primaryCopy = copy
    const alive = this.stored.members.filter((member) => this.isAlive(member) && member !== copy)
    this.stored = { version: this.stored.version + 1, members: [...alive, copy] }
    const process = this.process(copy)
    const replica = await process.backup?.promote()
    process.backup = undefined
    await ShardUnderTest.open({
      ...(replica === undefined ? this.replicaOptions(copy) : { directory: '' }),
      epoch: this.epoch,
      clock: this.clock,
      shardOptions: {
        replication: this.replicationOf(copy),
        jumps: this.options.fsync === 'everysec',
        ...(replica === undefined ? {} : { replica }),
      },
      onFailure: (error) => {
        if (this.processes.get(copy) === process) this.failures.push(error)
      },
      onOpening: (under) => {
        process.primary = under
        for (const other of this.processes.keys()) this.connect(other)
      },
    })
  }

  private replicationOf(copy: number): ReplicationOptions {
    const { epoch } = this
    const { copies, minInSync = Math.min(2, copies) } = this.options
    return {
      copy,
      inSync: this.stored,
      minInSync,
      ask: (change, version) => {
        const answer = (): void => {
          if (epoch === this.epoch) this.answer(change, version)
        }
        if (this.isAnswering) setImmediate(answer)
        else this.unanswered.push(answer)
      },
    }
  }

  private answer(change: SetChange, version: number): void {
    const { copy } = change
    const isCurrent = version === this.stored.version
    const isHosted = this.processes.get(copy)?.backup?.hosting === change.hosting
    let { members } = this.stored
    if (isCurrent && change.type === 'remove') members = members.filter((each) => each !== copy)
    if (isCurrent && change.type === 'add' && isHosted) members = [...members, copy]
    this.stored = { version: this.stored.version + 1, members }
    this.processes.get(this.primaryCopy)?.primary?.shard.replication?.onStored(this.stored)
  }

  /** The coordinator gives the answers it owes. */
  answerAll(): void {
    this.isAnswering = true
    for (const answer of this.unanswered.splice(0)) answer()
  }

  /** The process of the copy is gone: nothing of it is written or said any more. */
  async kill(copy: number): Promise<void> {
    const process = this.processes.get(copy)
    if (process === undefined) return
    this.processes.delete(copy)
    const killed = process.fileSystem.kill()
    if (copy === this.primaryCopy) for (const pipe of this.pipes.values()) pipe.cut()
    this.pipes.get(copy)?.cut()
    this.pipes.delete(copy)
    await killed
    await process.backup?.close()
    await process.primary?.shard.close()
  }

  /** The directory of a copy that is not hosted is lost: it begins anew, empty. */
  async lose(copy: number): Promise<void> {
    this.known.delete(copy)
    await rm(this.directoryOf(copy), { recursive: true, force: true })
  }

  /** What the copy has to apply is applied. */
  async apply(copy: number): Promise<void> {
    const { backup, primary } = this.processes.get(copy)!
    await (backup ?? primary?.shard)?.apply()
  }

  /** Time passes, in the steps of a child's tick, and no disk takes any of it. */
  async pass(ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += 100) {
      this.tick(100)
      // What was sent arrives, is written, and is answered.
      for (let round = 0; round < 3; round += 1) {
        await turn()
        for (const { fileSystem } of this.processes.values()) await fileSystem.ended()
      }
    }
  }

  /** The time has come to be later by so much, in every process at once. */
  tick(ms: number): void {
    this.clock.nowMs += ms
    for (const { backup, primary } of this.processes.values()) {
      backup?.onTick()
      primary?.shard.onTick()
    }
  }

  async untilInSync(count: number): Promise<void> {
    await this.until(() => this.stored.members.length === count)
  }

  /** Resolves when something is true that needs no more than what is under way. */
  async until(isTrue: () => boolean): Promise<void> {
    while (!isTrue()) await turn()
  }

  /** Every copy has the whole log, and knows that it is committed. */
  async untilEqual(): Promise<void> {
    await this.until(() => {
      const { revision } = this.primary.shard.report()
      return [...this.processes.values()].every(({ backup }) => {
        const report = backup?.report()
        return report === undefined || report.committedRevision === revision
      })
    })
  }

  async close(): Promise<void> {
    for (const pipe of this.pipes.values()) pipe.cut()
    this.pipes.clear()
    for (const { backup, primary, journals } of this.processes.values()) {
      await backup?.close()
      await primary?.shard.close()
      await journals?.close()
    }
    this.processes.clear()
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve))
}
