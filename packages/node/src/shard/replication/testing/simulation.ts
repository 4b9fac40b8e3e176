/**
 * Copies of one shard under a seeded schedule of writes, syncs, messages, stops, crashes, cuts, lost
 * directories and trimmed logs, with the coordinator reduced to what it persists. After every step it
 * is checked (`simulation-checks.ts`) that
 *
 * - every copy of the persisted in-sync set has on its disk all that was acknowledged (P1);
 * - what any copy applies is the same record at the same revision everywhere, for ever (P2);
 * - what is acknowledged is on as many disks as `minInSync` says;
 *
 * and when a copy is opened, and at rest, that its state is the fold of its log.
 */
import { lastRevisionOf } from '../../log/frame.js'
import { Replicator } from '../replicator.js'
import { ModelSnapshot } from './model-snapshot.js'
import { CLIENTS, KEYS, type Effect, type ModelFrame } from './model-state.js'
import { ReplicaDisk } from './replica-disk.js'
import { SimulatedCoordinator } from './simulated-coordinator.js'
import { SimulatedCopy } from './simulated-copy.js'
import { SimulatedLink, StaleMessages } from './simulated-link.js'
import type { SeededBugs, SimulationOptions } from './simulation-options.js'
import { SimulationChecks } from './simulation-checks.js'

/** Frames that a primary leaves uncommitted. */
const UNCOMMITTED_MAX = 4
const NO_BODY = Buffer.alloc(0)
/** A conversation may end for these reasons without anybody's fault. */
const EXCUSED = /another epoch|greeting|of the past|nothing came from it|trimmed/

export class Simulation {
  /** What came to pass: a run in which nothing happens proves nothing. */
  readonly seen = {
    acknowledged: 0,
    promotions: 0,
    changes: 0,
    refusals: 0,
    rebuilt: 0,
    silent: 0,
    ahead: 0,
  }
  private readonly options: SimulationOptions
  private readonly bugs: SeededBugs
  private readonly random: () => number
  private readonly coordinator: SimulatedCoordinator
  private readonly checks = new SimulationChecks()
  private readonly copies: SimulatedCopy[]
  private replicator: Replicator | undefined
  private readonly links = new Map<number, SimulatedLink>()
  private readonly stale: StaleMessages
  private readonly sequences: number[] = Array.from({ length: CLIENTS }, () => 0)
  private readonly actions: readonly (() => void)[]
  private nowMs = 0
  private hostings = 0
  private frames = 0
  private startRevision = Infinity

  constructor(options: SimulationOptions) {
    this.options = options
    this.random = options.random
    this.stale = new StaleMessages(options.random)
    this.bugs = options.bugs ?? {}
    this.coordinator = new SimulatedCoordinator(this.bugs)
    this.copies = Array.from({ length: options.copies }, (_, id) => new SimulatedCopy(id))
    for (const copy of this.copies) this.start(copy)
    this.promote(this.copies[0]!)
    const weighted: readonly [weight: number, action: () => void][] = [
      [3, () => this.write()],
      [5, () => this.work()],
      [6, () => this.deliver()],
      [2, () => this.coordinate()],
      [2, () => this.connect()],
      [1, () => this.maintain()],
      [2, () => this.tick()],
      [1, () => this.disturb()],
    ]
    this.actions = weighted.flatMap(([weight, action]) =>
      Array.from({ length: weight }, () => action),
    )
  }

  step(): void {
    this.pick(this.actions)!()
    if (this.bugs.toleratesBreaks === true && this.random() < 0.1) this.confuse()
    this.check()
  }

  /** No more faults. Returns whether everything comes to rest with all copies equal. */
  settle(): boolean {
    for (let round = 0; round < 400; round += 1) {
      for (const copy of this.copies) {
        copy.isStopped = false
        if (!copy.isAlive) this.start(copy)
      }
      for (const copy of this.copies) this.connectCopy(copy)
      for (const copy of this.copies) this.workOf(copy)
      for (const [id, link] of this.links)
        for (let some = 0; some < 5; some += 1) this.hear(id, link)
      this.coordinate()
      this.tick()
      this.check()
      if (!this.isAtRest) continue
      for (const copy of this.copies) this.checks.checkState(copy.id, copy.disk)
      return true
    }
    return false
  }

  private get isAtRest(): boolean {
    const { members } = this.coordinator.stored
    const { last } = this.copies[0]!.disk
    const { acknowledgedRevision } = this.checks
    return (
      members.length === this.copies.length &&
      last.revision === acknowledgedRevision &&
      this.copies.every(({ disk }) => {
        const isEqual = disk.last.checksum === last.checksum && disk.unsynced.length === 0
        return isEqual && disk.appliedRevision === acknowledgedRevision
      })
    )
  }

  private get primary(): SimulatedCopy {
    return this.copies[this.coordinator.primary]!
  }

  private get canServe(): boolean {
    return this.replicator !== undefined && this.replicator.commitRevision >= this.startRevision
  }

  private write(): void {
    const { disk } = this.primary
    if (!this.canServe || disk.unsynced.length > 0) return
    const uncommitted = disk.frames.slice(-UNCOMMITTED_MAX)
    const isFull = uncommitted.every(
      (frame) => lastRevisionOf(frame) > this.replicator!.commitRevision,
    )
    if (isFull && uncommitted.length === UNCOMMITTED_MAX) return
    const client = Math.floor(this.random() * CLIENTS)
    const sequence = (this.sequences[client]! += 1)
    const chance = this.random()
    const kind = chance < 0.6 ? 'put' : chance < 0.8 ? 'delete' : 'touch'
    this.append({ kind, key: Math.floor(this.random() * KEYS), client, sequence })
  }

  private append(effect: Effect | undefined): ModelFrame {
    const { disk } = this.primary
    const { end } = disk
    this.frames += 1
    const frame: ModelFrame = {
      epoch: this.coordinator.epoch,
      firstRevision: end.revision + 1,
      count: 1 + Math.floor(this.random() * 3),
      timeMs: 0,
      jump: false,
      previousChecksum: end.checksum,
      body: NO_BODY,
      checksum: this.frames,
      effect,
    }
    this.replicator!.onAppending(frame)
    disk.append(frame)
    return frame
  }

  private work(): void {
    const copy = this.pick(
      this.copies.filter((each) => {
        return each.canAct && (each.tasks.length > 0 || each.disk.unsynced.length > 0)
      }),
    )
    if (copy !== undefined) this.workOf(copy)
  }

  private workOf(copy: SimulatedCopy): void {
    if (copy.tasks.length > 0 && this.random() < 0.6) {
      copy.tasks.shift()!()
      return
    }
    const frame = copy.disk.sync()
    if (frame === undefined) return
    const revision = lastRevisionOf(frame)
    if (copy !== this.primary) {
      if (revision > this.primary.disk.last.revision) this.seen.ahead += 1
      copy.follower?.onDurable(revision)
    } else this.replicator?.onAppended(frame)
  }

  private deliver(): void {
    const entry = this.pick([...this.links])
    if (entry !== undefined) this.hear(...entry)
  }

  private hear(id: number, { toFollower, toPrimary }: SimulatedLink): void {
    const copy = this.copies[id]!
    const isForFollower = !copy.isStopped && toFollower.length > 0
    if (isForFollower && (toPrimary.length === 0 || this.random() < 0.5)) {
      copy.follower?.onMessage(toFollower.shift()!)
      return
    }
    const message = toPrimary.shift()
    if (message !== undefined) this.replicator?.onMessage(id, message)
  }

  private coordinate(): void {
    const { coordinator } = this
    // It may be busy for a while.
    if (this.random() < 0.25) coordinator.decide()
    const opened = this.pick(this.copies)!
    if (opened.canAct) coordinator.onBacking(opened.id)
    const answer = this.random() < 0.5 ? coordinator.answers.shift() : undefined
    if (answer?.epoch === coordinator.epoch) this.replicator?.onStored(answer.stored)
    this.seen.changes = coordinator.changes
    this.seen.refusals = coordinator.refusals
    if (this.replicator !== undefined) return
    const able = coordinator.stored.members.map((id) => this.copies[id]!)
    const next = this.pick(able.filter((copy) => copy.canAct))
    if (next !== undefined) this.promote(next)
  }

  private connect(): void {
    const copy = this.pick(this.copies)!
    if (copy.canAct) this.connectCopy(copy)
  }

  private connectCopy(copy: SimulatedCopy): void {
    const { replicator } = this
    if (replicator === undefined || copy === this.primary || this.links.has(copy.id)) return
    const link = new SimulatedLink()
    this.links.set(copy.id, link)
    // What an earlier conversation left to be synced ends up in the log, or not, before the next.
    copy.disk.finish(this.random() < 0.5 ? copy.disk.unsynced.length : 0)
    if (this.bugs.cutsAtCommit === true) {
      copy.disk.cut(copy.disk.positionAtOrBefore(copy.disk.appliedRevision)!)
    }
    copy.follow({
      send: (message) => link.toPrimary.push(message),
      onApply: (revision) => this.checks.apply(copy.id, copy.disk, revision),
      onRebuilt: () => {
        this.seen.rebuilt += 1
      },
      onBroken: (reason) => this.onBroken(copy.id, reason),
      forgetsEnd: this.bugs.forgetsEnd === true,
    })
    replicator.connect(copy.id)
  }

  private onBroken(id: number, reason: string): void {
    if (!EXCUSED.test(reason) && this.bugs.toleratesBreaks !== true)
      throw new Error(`the conversation with copy ${id} ends: ${reason}`)
    if (reason.startsWith('nothing came')) this.seen.silent += 1
    this.cutLink(id)
  }

  /** One persisted step; the copy finishes what it has in hand, then begins its epoch. */
  private promote(copy: SimulatedCopy): void {
    const { coordinator } = this
    coordinator.promote(copy.id)
    this.seen.promotions += 1
    for (const { id } of this.copies) this.cutLink(id)
    copy.endConversation()
    copy.disk.finish(copy.disk.unsynced.length)
    this.checks.checkState(copy.id, copy.disk)
    this.replicator = this.newReplicator(copy)
    this.startRevision = lastRevisionOf(this.append(undefined))
  }

  private newReplicator(copy: SimulatedCopy): Replicator {
    const { epoch, stored } = this.coordinator
    const { disk } = copy
    const minInSync = this.bugs.ignoresMinInSync === true ? 1 : this.options.minInSync
    const countsUnsynced = this.bugs.countsUnsynced === true
    const later = (task: () => void): void => void copy.tasks.push(task)
    const replicator: Replicator = new Replicator(
      { epoch, self: copy.id, inSync: stored, minInSync },
      {
        log: {
          get last() {
            return countsUnsynced ? disk.end : disk.last
          },
          get epochs() {
            return disk.epochs
          },
        },
        findPosition: (_to, revision, onFound) => {
          later(() => onFound(disk.positionAtOrBefore(revision)))
        },
        read: (_to, from, onRead) => later(() => onRead(disk.read(from, 3))),
        openSnapshot: (_to, committed) =>
          new ModelSnapshot(disk, committed, later, this.bugs.leavesSessionsOut !== true),
        send: (to, message) => this.links.get(to)?.toFollower.push(message),
        ask: (change, version) => this.coordinator.asks.push({ epoch, change, version }),
        onCommit: (revision) => this.onCommit(revision),
        onBroken: (to, reason) => this.onBroken(to, reason),
      },
    )
    return replicator
  }

  private onCommit(revision: number): void {
    const { checks, options } = this
    this.seen.acknowledged += 1
    checks.acknowledgedRevision = Math.max(checks.acknowledgedRevision, revision)
    checks.apply(this.primary.id, this.primary.disk, revision)
    if (revision <= this.startRevision) return
    const holders = this.copies.filter(({ disk }) => disk.last.revision >= revision)
    if (holders.length < options.minInSync) {
      throw new Error(`P1: ${revision} was acknowledged with ${holders.length} copies`)
    }
  }

  /** What is committed is stored, and the log lets go of it: as a rule, of what nobody needs. */
  private maintain(): void {
    const copy = this.pick(this.copies)!
    if (!copy.canAct) return
    copy.disk.store()
    const isKind = copy === this.primary && this.random() < 0.7
    if (this.random() < 0.5) {
      copy.disk.trim(isKind ? (this.replicator?.neededRevision ?? 0) : Infinity)
    }
  }

  private tick(): void {
    this.nowMs += 100 + this.random() * 300
    this.replicator?.onTick(this.nowMs)
    this.replicator?.tellCommit()
  }

  private disturb(): void {
    const copy = this.pick(this.copies)!
    const chance = this.random()
    if (!copy.isAlive) {
      if (chance < 0.2) this.lose(copy)
      this.start(copy)
    } else if (copy.isStopped) copy.isStopped = chance < 0.7
    else if (chance < 0.35) this.cutLink(copy.id)
    else if (chance < 0.5) copy.isStopped = copy !== this.primary
    else if (chance < 0.65) for (let some = 0; some < 4; some += 1) this.confuse()
    // With nobody left there is nothing to see.
    else if (this.copies.filter((each) => each.isAlive).length > 1 && chance < 0.9) this.crash(copy)
  }

  /** Its directory is gone. Only a copy that nothing rests on may begin anew. */
  private lose(copy: SimulatedCopy): void {
    if (this.replicator === undefined || this.coordinator.stored.members.includes(copy.id)) return
    copy.disk = new ReplicaDisk()
  }

  private start(copy: SimulatedCopy): void {
    if (!copy.disk.isWhole) {
      // Opening it finds the damage: it begins anew if another copy serves.
      if (this.replicator === undefined) return
      this.lose(copy)
    }
    this.checks.checkState(copy.id, copy.disk)
    this.hostings += 1
    copy.start(this.hostings)
    this.coordinator.onStarted(copy.id, this.hostings)
  }

  private cutLink(id: number): void {
    const link = this.links.get(id)
    if (link === undefined) return
    this.links.delete(id)
    this.stale.keep(id, link)
    this.copies[id]!.endConversation()
    this.replicator?.disconnect(id)
  }

  private confuse(): void {
    this.stale.confuse(this.coordinator.epoch, this.links)
  }

  private crash(copy: SimulatedCopy): void {
    this.coordinator.onExit(copy.id)
    const isPrimary = copy === this.primary
    if (isPrimary) this.replicator = undefined
    for (const { id } of this.copies) if (isPrimary || id === copy.id) this.cutLink(id)
    copy.crash(Math.floor(this.random() * (copy.disk.unsynced.length + 1)))
    if (this.random() < 0.7) return
    // Another process has it at once; sometimes with another disk.
    if (this.random() < 0.5) this.lose(copy)
    this.start(copy)
  }

  private check(): void {
    for (const id of this.coordinator.stored.members) {
      this.checks.checkMember(id, this.copies[id]!.disk)
    }
  }

  private pick<Item>(items: readonly Item[]): Item | undefined {
    return items[Math.floor(this.random() * items.length)]
  }
}
