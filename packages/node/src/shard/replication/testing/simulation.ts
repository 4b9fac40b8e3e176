/**
 * Copies of one shard under a seeded schedule of writes, syncs, messages, crashes and cuts, with the
 * coordinator reduced to what it persists. After every step it is checked that
 *
 * - every copy of the persisted in-sync set has on its disk all that was acknowledged (P1);
 * - what any copy applies is the same record at the same revision everywhere, for ever (P2).
 */
import { crc32 } from 'node:zlib'
import type { LogFrame } from '../../log/frame.js'
import { lastRevisionOf } from '../../log/frame.js'
import type { LogPosition } from '../../log/position.js'
import { LOG_START } from '../../log/position.js'
import type { SnapshotPart, SnapshotSource } from '../../snapshot/parts.js'
import { Follower } from '../follower.js'
import type { SetChange, StoredSet } from '../in-sync-set.js'
import type { ToFollower, ToPrimary } from '../messages.js'
import { Replicator } from '../replicator.js'
import { ReplicaDisk } from './replica-disk.js'

interface Copy {
  readonly id: number
  readonly disk: ReplicaDisk
  isAlive: boolean
  /** The highest epoch this process was greeted in. */
  epoch: number
  follower: Follower | undefined
}

interface Link {
  readonly toFollower: ToFollower[]
  readonly toPrimary: ToPrimary[]
}

interface Request {
  readonly epoch: number
  readonly change: SetChange
  readonly version: number
}

export interface SimulationOptions {
  readonly copies: number
  readonly random: () => number
}

export class Simulation {
  /** What the coordinator has persisted. */
  stored: StoredSet
  epoch = 0
  primary = 0
  acknowledged = 0
  promotions = 0
  changes = 0
  rebuilt = 0
  private readonly random: () => number
  private readonly copies: Copy[]
  private replicator: Replicator | undefined
  private readonly links = new Map<number, Link>()
  private requests: Request[] = []
  private answers: { readonly epoch: number; readonly stored: StoredSet }[] = []
  /** By revision: what was committed there, as any copy saw it first. */
  private readonly truth = new Map<number, string>()
  private acknowledgedRevision = 0
  private payload = 0
  private canServe = false

  constructor({ copies, random }: SimulationOptions) {
    this.random = random
    this.copies = Array.from({ length: copies }, (_, id) => ({
      id,
      disk: new ReplicaDisk(),
      isAlive: true,
      epoch: 0,
      follower: undefined,
    }))
    this.stored = { version: 1, members: [0] }
    this.promote(0)
  }

  step(): void {
    const choices: (() => void)[] = [
      () => this.write(),
      () => this.write(),
      () => this.syncSome(),
      () => this.syncSome(),
      () => this.syncSome(),
      () => this.deliver(),
      () => this.deliver(),
      () => this.deliver(),
      () => this.deliver(),
      () => this.coordinate(),
      () => this.coordinate(),
      () => this.connectSome(),
      () => this.disturb(),
    ]
    this.pick(choices)?.()
    this.checkMembers()
  }

  /** No more faults: everything must come to rest with all copies equal. */
  settle(): void {
    for (const copy of this.copies) copy.isAlive = true
    for (let round = 0; round < 2_000; round += 1) {
      this.coordinate()
      this.connectSome()
      this.syncSome()
      this.deliver()
      this.replicator?.tellCommit()
      this.checkMembers()
    }
  }

  get isAtRest(): boolean {
    const ends = this.copies.map(({ disk }) => JSON.stringify([disk.last, disk.unsynced.length]))
    const applied = new Set(this.copies.map(({ disk }) => disk.appliedRevision))
    return new Set(ends).size === 1 && applied.size === 1 && this.stored.members.length > 1
  }

  private write(): void {
    const { replicator } = this
    const copy = this.copies[this.primary]!
    if (replicator === undefined || !this.canServe || copy.disk.unsynced.length > 0) return
    this.payload += 1
    this.append(copy, `${this.payload}`)
  }

  private append(copy: Copy, text: string): void {
    const { end } = copy.disk
    const count = 1 + Math.floor(this.random() * 3)
    const body = Buffer.from(text)
    const frame: LogFrame = {
      epoch: this.epoch,
      firstRevision: end.revision + 1,
      count,
      timeMs: 0,
      jump: false,
      previousChecksum: end.checksum,
      body,
      checksum: crc32(Buffer.from(`${this.epoch} ${end.checksum} ${text}`)),
    }
    this.replicator?.onAppending(frame)
    copy.disk.append(frame)
  }

  private syncSome(): void {
    const copy = this.pick(this.copies.filter((each) => each.isAlive))
    const frame = copy?.disk.sync()
    if (copy === undefined || frame === undefined) return
    if (copy.id === this.primary) this.replicator?.onAppended(frame)
    else copy.follower?.onDurable(lastRevisionOf(frame))
  }

  private deliver(): void {
    const entry = this.pick([...this.links.entries()])
    if (entry === undefined) return
    const [id, link] = entry
    if (this.random() < 0.5) {
      const message = link.toFollower.shift()
      if (message !== undefined) this.copies[id]!.follower?.onMessage(message)
    } else {
      const message = link.toPrimary.shift()
      if (message !== undefined) this.replicator?.onMessage(id, message)
    }
  }

  private connectSome(): void {
    if (this.replicator === undefined) return
    const copy = this.pick(
      this.copies.filter((each) => {
        return each.isAlive && each.id !== this.primary && !this.links.has(each.id)
      }),
    )
    if (copy === undefined) return
    const link: Link = { toFollower: [], toPrimary: [] }
    this.links.set(copy.id, link)
    // What an earlier connection left to be synced ends up in the log, or not, before the next.
    copy.disk.crash(this.random() < 0.5 ? copy.disk.unsynced.length : 0)
    copy.follower = this.followerOf(copy, link)
    this.replicator.connect(copy.id)
  }

  private snapshot(start: LogPosition): SnapshotSource {
    const parts: SnapshotPart[] = [
      { type: 'snapshotBegin', begin: { start, epochs: [], sessionFloor: 0 } },
      {
        type: 'snapshotEnd',
        end: { revision: start.revision, timeMs: 0, sessions: 0, entries: 0, checksum: 0 },
      },
    ]
    return {
      next: (onPart) => {
        const part = parts.shift()
        if (part !== undefined) onPart(part)
      },
      close: () => undefined,
    }
  }

  private rebuild(copy: Copy, upTo: LogPosition): void {
    const { disk } = this.copies[this.primary]!
    const frames = disk.frames.filter((frame) => lastRevisionOf(frame) <= upTo.revision)
    copy.disk.frames = [...frames]
    copy.disk.unsynced = []
    copy.disk.appliedRevision = upTo.revision
    this.rebuilt += 1
  }

  private followerOf(copy: Copy, link: Link): Follower {
    let start = LOG_START
    const follower: Follower = new Follower(copy.epoch, {
      log: copy.disk,
      hosting: 1,
      appliedRevision: () => copy.disk.appliedRevision,
      cut: (after) => {
        copy.disk.cut(after)
        follower.onCut()
      },
      append: (frame) => copy.disk.append(frame),
      onCommit: (revision) => this.apply(copy, revision),
      beginSnapshot: (begin) => {
        start = begin.start
      },
      takePage: () => follower.onPageTaken(),
      endSnapshot: () => {
        this.rebuild(copy, start)
        follower.onRebuilt()
      },
      send: (message) => {
        copy.epoch = follower.highestEpoch
        link.toPrimary.push(message)
      },
      onBroken: (reason) => {
        throw new Error(`copy ${copy.id}: ${reason}`)
      },
    })
    return follower
  }

  private apply(copy: Copy, revision: number): void {
    for (const frame of copy.disk.frames) {
      const last = lastRevisionOf(frame)
      if (last > revision || last <= copy.disk.appliedRevision) continue
      const text = `${frame.epoch} ${frame.body.toString()}`
      const known = this.truth.get(last)
      if (known !== undefined && known !== text) {
        throw new Error(
          `P2: copy ${copy.id} applies ${text} at ${last}, where ${known} was applied`,
        )
      }
      this.truth.set(last, text)
      copy.disk.appliedRevision = last
    }
  }

  private coordinate(): void {
    const request = this.requests.shift()
    if (request !== undefined) this.persist(request)
    const answer = this.random() < 0.5 ? this.answers.shift() : undefined
    if (answer !== undefined && answer.epoch === this.epoch)
      this.replicator?.onStored(answer.stored)
    if (this.copies[this.primary]!.isAlive && this.replicator !== undefined) return
    const next = this.pick(this.stored.members.filter((id) => this.copies[id]!.isAlive))
    if (next !== undefined) this.promote(next)
  }

  private persist({ epoch, change, version }: Request): void {
    if (epoch !== this.epoch || version !== this.stored.version) return
    const others = this.stored.members.filter((id) => id !== change.copy)
    const members = change.type === 'add' ? [...others, change.copy] : others
    this.stored = { version: version + 1, members }
    this.answers.push({ epoch, stored: this.stored })
    this.changes += 1
  }

  /** One persisted step: the epoch, the primary, the set without the dead. */
  private promote(id: number): void {
    const copy = this.copies[id]!
    const members = this.stored.members.filter((each) => this.copies[each]!.isAlive)
    this.epoch += 1
    this.primary = id
    this.stored = { version: this.stored.version + 1, members }
    this.promotions += 1
    this.links.clear()
    this.requests = []
    copy.follower = undefined
    // It finishes what it has in hand, then begins its epoch.
    copy.disk.crash(copy.disk.unsynced.length)
    this.canServe = false
    const { epoch } = this
    const options = { epoch, self: id, inSync: this.stored, minInSync: 1 }
    this.replicator = new Replicator(options, {
      log: copy.disk,
      findPosition: (_to, revision, onFound) => onFound(copy.disk.positionAtOrBefore(revision)),
      read: (_to, from, onRead) => {
        const frames = copy.disk.frames.filter((frame) => lastRevisionOf(frame) >= from)
        onRead(frames.slice(0, 3))
      },
      openSnapshot: (_to, committed) => this.snapshot(committed()),
      send: (to, message) => this.links.get(to)?.toFollower.push(message),
      ask: (change, version) => this.requests.push({ epoch, change, version }),
      onCommit: (revision) => this.onCommit(copy, revision),
      onBroken: (to, reason) => {
        throw new Error(`primary: copy ${to}: ${reason}`)
      },
    })
    this.append(copy, `epoch ${this.epoch}`)
  }

  private onCommit(copy: Copy, revision: number): void {
    this.canServe = true
    this.acknowledged += 1
    this.acknowledgedRevision = Math.max(this.acknowledgedRevision, revision)
    this.apply(copy, revision)
  }

  private disturb(): void {
    const copy = this.pick(this.copies)!
    const chance = this.random()
    if (!copy.isAlive) {
      copy.isAlive = true
      return
    }
    if (chance < 0.5) {
      this.cutLink(copy.id)
      return
    }
    // With nobody left there is nothing to see.
    if (this.copies.filter((each) => each.isAlive).length > 1 && chance < 0.8) this.crash(copy)
  }

  private cutLink(id: number): void {
    if (!this.links.delete(id)) return
    const copy = this.copies[id]!
    copy.follower?.end()
    copy.follower = undefined
    this.replicator?.disconnect(id)
  }

  private crash(copy: Copy): void {
    copy.isAlive = false
    copy.epoch = 0
    copy.disk.crash(Math.floor(this.random() * (copy.disk.unsynced.length + 1)))
    if (copy.id !== this.primary) {
      this.cutLink(copy.id)
      return
    }
    this.replicator = undefined
    this.canServe = false
    for (const { id } of this.copies) this.cutLink(id)
  }

  private checkMembers(): void {
    for (const id of this.stored.members) {
      const { last }: { last: LogPosition } = this.copies[id]!.disk
      if (last.revision < this.acknowledgedRevision) {
        throw new Error(
          `P1: copy ${id} is in sync and ends at ${last.revision}, ` +
            `${this.acknowledgedRevision} was acknowledged`,
        )
      }
    }
  }

  private pick<Item>(items: readonly Item[]): Item | undefined {
    return items[Math.floor(this.random() * items.length)]
  }
}
