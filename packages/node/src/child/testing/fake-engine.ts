/** Copies that open, commit and fail when the test says so. */
import type { InSync } from '../../link/control.js'
import type { Backup, BackupOptions } from '../../shard/backup.js'
import type { Replica } from '../../shard/replica.js'
import type { ToFollower } from '../../shard/replication/messages.js'
import type { Counterpart } from '../conversation.js'
import type { Shard } from '../../shard/shard.js'
import type { Engine, PrimaryOptions } from '../engine.js'

class Gate {
  readonly passed: Promise<void>
  open: () => void = () => undefined
  fail: (error: Error) => void = () => undefined

  constructor() {
    this.passed = new Promise((resolve, reject) => {
      this.open = resolve
      this.fail = reject
    })
    this.passed.catch(() => undefined)
  }
}

export class FakePrimary {
  readonly id: number
  readonly options: PrimaryOptions
  /** Passed when the start of the epoch is committed. */
  readonly begun = new Gate()
  readonly sets: InSync[] = []
  readonly followers: { copy: number; to: Counterpart<ToFollower> }[] = []
  ticks = 0
  isClosed = false

  readonly replication = {
    attach: (copy: number, to: Counterpart<ToFollower>) => {
      this.followers.push({ copy, to })
      return { onMessage: () => undefined, end: () => undefined }
    },
    onStored: (inSync: InSync) => void this.sets.push(inSync),
  }

  constructor(options: PrimaryOptions) {
    this.id = options.shard
    this.options = options
  }

  onTick(): void {
    this.ticks += 1
  }

  close(): Promise<void> {
    this.isClosed = true
    this.begun.fail(new Error('closed before its epoch began'))
    return Promise.resolve()
  }
}

export class FakeBackup {
  readonly id: number
  readonly options: BackupOptions
  readonly replica = {} as Replica
  /** Passed when the append in hand is finished. */
  readonly settled = new Gate()
  isClosed = false
  ticks = 0

  constructor(options: BackupOptions) {
    this.id = options.shard
    this.options = options
  }

  onTick(): void {
    this.ticks += 1
  }

  async promote(): Promise<Replica> {
    await this.settled.passed
    return this.replica
  }

  close(): Promise<void> {
    this.isClosed = true
    this.settled.fail(new Error('The copy was closed.'))
    return Promise.resolve()
  }
}

export class FakeEngine implements Engine {
  readonly primaries: FakePrimary[] = []
  readonly backups: FakeBackup[] = []
  /** What the next opening of a backup ends with. */
  backupError: Error | undefined

  async openShard(options: PrimaryOptions): Promise<Shard> {
    const shard = new FakePrimary(options)
    this.primaries.push(shard)
    // The directory is opened meanwhile.
    await Promise.resolve()
    options.onOpening(shard as unknown as Shard)
    await shard.begun.passed
    return shard as unknown as Shard
  }

  async openBackup(options: BackupOptions): Promise<Backup> {
    await Promise.resolve()
    if (this.backupError !== undefined) throw this.backupError
    const backup = new FakeBackup(options)
    this.backups.push(backup)
    return backup as unknown as Backup
  }
}
