/**
 * The sequencer: the only writer of a shard.
 *
 * It judges each write against the newest state, gives it the next revision and appends its
 * decided effects to the group that gathers; groups become frames of the log, one at a time. It
 * is synchronous code on one event loop, so that it needs no lock. Two maps, never mixed:
 * *pending* (sequenced, not durable) is looked at here and nowhere else; what is committed goes to
 * the overlay through `onCommit`, and only that is ever read.
 */
import type { WriteCall } from '@kv/protocol'
import { compareKeys, PAGE_ENTRIES_MAX, SYSTEM_KEYS_START } from '@kv/protocol'
import type { Answer, Answers } from '../answer.js'
import { fault, MOVED_ANSWER } from '../answer.js'
import { answerInOrder } from './answer-order.js'
import { FrameMemory } from './frame-memory.js'
import { Group } from './group.js'
import type { Held } from '../held.js'
import { isExpired, tombstone, visibleAt } from '../held.js'
import type { Decided, Verdict } from './judge.js'
import type { AtomicState } from './judge-atomic.js'
import { judgeCall } from './judge-call.js'
import { LogNoRoom } from '../log/errors.js'
import type { SessionTable } from '../sessions/session-table.js'
import {
  ENTRY_KINDS,
  RESULT_KINDS,
  writeEntryHead,
  writeEviction,
  writePut,
  writeRemoval,
  writeStoredAnswer,
  writeTouch,
} from './record.js'
import { answerAgain } from './retries.js'

/** A group of this size is complete; what follows gathers in the next one. */
const GROUP_BYTES_SOFT = 524_288

/** A log that has not synced for so long does not get on: what waits for it is no measure of haste. */
const STALLED_AFTER_MS = 100

/** Where a batch of writes comes from; `sequence` and `position` move on from call to call. */
export interface Origin {
  readonly clientId: number
  readonly lowWater: number
  /** The batch is one of resends: its calls may have been executed before. */
  readonly isResend: boolean
  readonly answers: Answers
  readonly nowMs: number
  sequence: number
  position: number
}

/**
 * Says when a group is written: calls `append`, now or soon. Until then the group gathers. What
 * `append` returns resolves, never rejects, when the log is free again.
 */
export type Pace = (append: () => Promise<void> | undefined) => void

/** Each group is written as soon as the frame before it is durable. */
export const writeAtOnce: Pace = (append) => void append()

export interface SequencerPorts {
  readonly log: {
    append(
      frame: Buffer,
      bodyBytes: number,
      meta: { epoch: number; firstRevision: number; count: number; timeMs: number },
    ): Promise<void>
    hasRoomFor(bodyBytes: number): boolean
    readonly spaceError: Error | undefined
  }
  readonly pace: Pace
  readonly epoch: number
  readonly lastRevision: number
  /** Time of the last frame, in epoch milliseconds; the times of frames never go back. */
  readonly lastTimeMs: number
  readonly sessions: SessionTable
  now(): number
  /** The newest committed entry, deleted and expired ones included. */
  committed(key: string): Held | undefined
  /** No committed entry ends before this time but has not been removed: nothing needs a look. */
  readonly earliestEndMs: number
  /** The first committed keys of the range, and where to go on. */
  firstCommitted(range: { from: string; to: string | undefined }): {
    keys: string[]
    resume: string | undefined
  }
  /** Makes the effects of a durable group visible. */
  onCommit(group: Group): void
  /** The log failed: the shard must be opened again, in a new epoch. */
  onFailure(error: Error): void
}

type Accepted = Extract<Verdict, { accepted: true }>

export class Sequencer implements AtomicState {
  private readonly ports: SequencerPorts
  private readonly pending = new Map<string, Held>()
  /** No pending entry ends before. */
  private pendingEndMs = Infinity
  /** Removals were given up: entries may be over their time although nothing says so. */
  private mayHideEnded = false
  /** Groups not handed to the log yet, in order; the last one gathers. */
  readonly groups: Group[] = []
  inFlight: Group | undefined
  private nextRevision: number
  private lastTimeMs: number
  private readonly memory = new FrameMemory()
  /** Whether it has asked for a turn at the log. */
  private isWaiting = false
  private intake: 'open' | 'closed' = 'open'
  private closing: Promise<void> | undefined
  private onIdle: (() => void) | undefined

  constructor(ports: SequencerPorts) {
    this.ports = ports
    this.nextRevision = ports.lastRevision + 1
    this.lastTimeMs = ports.lastTimeMs
  }

  /** Bytes of frames that are not durable yet. */
  get pendingBytes(): number {
    const gathering = this.groups.reduce((bytes, group) => bytes + group.memoryBytes, 0)
    return gathering + (this.inFlight?.memoryBytes ?? 0)
  }

  /** Of `pendingBytes`, what the log is getting through: none while it does not get on. */
  get backlogBytes(): number {
    const { pendingBytes } = this
    if (pendingBytes === 0 || this.inFlight === undefined) return pendingBytes
    return performance.now() - this.inFlight.sinceMs > STALLED_AFTER_MS ? 0 : pendingBytes
  }

  /** Revision of the newest entry, committed or not. */
  get newestRevision(): number {
    return this.nextRevision - 1
  }

  /** Time of the newest frame, in epoch milliseconds. */
  get recordTimeMs(): number {
    return this.lastTimeMs
  }

  /** The newest entry of a key, committed or not. */
  newest(key: string): Held | undefined {
    return this.pending.get(key) ?? this.ports.committed(key)
  }

  /** Whether the key's newest entry is over its time and has not been removed yet. */
  isEnded(key: string, nowMs: number): boolean {
    const earliestMs = Math.min(this.pendingEndMs, this.ports.earliestEndMs)
    // Nearly always nothing is over: a write without conditions then looks at no entry at all.
    if (nowMs < earliestMs && !this.mayHideEnded) return false
    const held = this.newest(key)
    return held?.memory !== undefined && isExpired(held, nowMs)
  }

  firstKeys(range: { from: string; to: string | undefined }): {
    keys: string[]
    resume: string | undefined
  } {
    const { keys: committed, resume } = this.ports.firstCommitted(range)
    if (this.pending.size === 0) return { keys: committed, resume }
    const end = resume ?? range.to ?? SYSTEM_KEYS_START
    const keys = this.withPending(committed, range.from, end)
    if (keys.length <= PAGE_ENTRIES_MAX) return { keys, resume }
    // All of them in one entry might not fit a frame.
    keys.sort(compareKeys)
    return { keys: keys.slice(0, PAGE_ENTRIES_MAX), resume: keys[PAGE_ENTRIES_MAX] }
  }

  private withPending(committed: readonly string[], from: string, to: string): string[] {
    const keys = new Set(committed)
    const nowMs = this.ports.now()
    for (const [key, held] of this.pending) {
      if (compareKeys(key, from) < 0 || compareKeys(key, to) >= 0) continue
      if (visibleAt(held, nowMs) === undefined) keys.delete(key)
      else keys.add(key)
    }
    return [...keys]
  }

  /** The first entry of the epoch; once it is durable the whole inherited log is committed. */
  beginEpoch(answers: Answers): void {
    const group = this.gathering()
    const head = { kind: ENTRY_KINDS.epochStart, clientId: 0, sequence: 0, lowWater: 0 }
    writeEntryHead(group.writer, { ...head, resultKind: RESULT_KINDS.none }, 0)
    this.sequenced(group)
    group.answerAfterCommit(answers, 0, true)
    this.flush()
  }

  /** Takes a write. Its answer comes once everything it was judged on is durable. */
  submit(call: WriteCall, origin: Origin): void {
    if (this.intake === 'closed') {
      origin.answers.answer(origin.position, MOVED_ANSWER)
      return
    }
    if (answerAgain(this.ports.sessions, origin, this)) return
    const verdict = judgeCall(call, this, origin.nowMs)
    if (!verdict.accepted) {
      answerInOrder(this, origin.answers, origin.position, verdict.answer)
      return
    }
    const answer = this.enter(verdict, origin)
    const group = this.groups.at(-1) as Group
    group.answerAfterCommit(origin.answers, origin.position, answer)
    this.ports.sessions.add(origin, { revision: this.newestRevision, answer }, origin.nowMs)
    if (this.ports.sessions.isOverLimit) this.evictSessions()
  }

  /** Forgets sessions that are idle or for which there is no memory, by an entry of their own. */
  evictSessions(): void {
    if (this.intake === 'closed') return
    const { sessions } = this.ports
    const clientIds = sessions.evictable(this.ports.now())
    if (clientIds.length === 0) return
    const group = this.gathering()
    writeEviction(group.writer, clientIds)
    sessions.evicting(clientIds, this.nextRevision)
    this.sequenced(group)
    this.flush()
  }

  /**
   * Answers a read of the same client after the writes it sent before: with what was found in the
   * newest state, or what a function finds once all that is pending now has committed.
   */
  readInOrder(answers: Answers, position: number, answer: Answer | (() => Answer)): void {
    answerInOrder(this, answers, position, answer)
  }

  /** Ends the given keys if their newest entry is over its time. Nobody waits for it. */
  expire(keys: Iterable<string>): void {
    if (this.intake === 'closed') return
    const nowMs = this.ports.now()
    const effects: Decided[] = []
    for (const key of new Set(keys)) {
      const held = this.newest(key)
      if (held?.memory !== undefined && held.expiresAt !== 0 && held.expiresAt <= nowMs) {
        effects.push({ type: 'expire', key })
      }
    }
    if (effects.length === 0) return
    const entry = { effects, resultKind: RESULT_KINDS.none, answer: () => true }
    this.enter(entry, { clientId: 0, sequence: 0, lowWater: 0 })
    this.flush()
  }

  /** Gives an entry the next revision. Returns the answer to who asked for it. */
  private enter(
    { effects, resultKind, answer: answerOf }: Omit<Accepted, 'accepted'>,
    origin: { clientId: number; sequence: number; lowWater: number },
  ): Answer {
    const group = this.gathering()
    const revision = this.nextRevision
    const { clientId, sequence, lowWater } = origin
    const head = { kind: ENTRY_KINDS.write, clientId, sequence, lowWater, resultKind }
    writeEntryHead(group.writer, head, effects.length)
    for (const effect of effects) {
      if (effect.type === 'expire') group.expiryFollows()
      const held = writeEffect(group, effect, revision)
      if (held.expiresAt !== 0 && held.expiresAt < this.pendingEndMs) {
        this.pendingEndMs = held.expiresAt
      }
      group.effect(effect.key, held)
      this.pending.set(effect.key, held)
    }
    const answer = answerOf(revision)
    if (resultKind === RESULT_KINDS.stored) writeStoredAnswer(group.writer, answer as Uint8Array)
    this.sequenced(group)
    return answer
  }

  private gathering(): Group {
    const last = this.groups.at(-1)
    if (last !== undefined && last.bodyBytes < GROUP_BYTES_SOFT) return last
    const group = new Group(this.nextRevision, this.memory.writer(), performance.now())
    this.groups.push(group)
    return group
  }

  private sequenced(group: Group): void {
    group.count += 1
    this.nextRevision += 1
  }

  /** Asks for the oldest group's turn at the log, unless a frame is being synced. */
  flush(): void {
    if (this.groups.length === 0 || this.inFlight !== undefined || this.isWaiting) return
    this.isWaiting = true
    this.ports.pace(() => {
      this.isWaiting = false
      return this.append()
    })
  }

  /** Hands the oldest group to the log. Resolves when it is durable, or was given up. */
  private append(): Promise<void> | undefined {
    const group = this.groups[0]
    if (group === undefined) return undefined
    if (!this.ports.log.hasRoomFor(group.bodyBytes)) {
      this.refuseForSpace()
      return undefined
    }
    this.groups.shift()
    this.inFlight = group
    this.lastTimeMs = Math.max(this.lastTimeMs, this.ports.now())
    const { firstRevision, count } = group
    const meta = { epoch: this.ports.epoch, firstRevision, count, timeMs: this.lastTimeMs }
    const frame = this.memory.seal(group.writer)
    return this.ports.log.append(frame, group.bodyBytes, meta).then(
      () => {
        this.committed(group)
      },
      (error: unknown) => {
        if (error instanceof LogNoRoom) this.refuseForSpace(group)
        else this.failed(group, error as Error)
      },
    )
  }

  private committed(group: Group): void {
    this.inFlight = undefined
    for (let index = 0; index < group.keys.length; index += 1) {
      const key = group.keys[index] as string
      if (this.pending.get(key) === group.helds[index]) this.pending.delete(key)
    }
    this.ports.sessions.committed(group.lastRevision)
    if (this.pending.size === 0) this.pendingEndMs = Infinity
    this.ports.onCommit(group)
    this.flush()
    group.deliver()
    this.settle()
  }

  /**
   * The log has no room: what gathers was never written, and is given up as a whole, because each
   * entry may have been judged on the one before.
   */
  private refuseForSpace(group?: Group): void {
    this.inFlight = undefined
    if (group !== undefined) this.groups.unshift(group)
    const why = this.ports.log.spaceError?.message ?? 'no space left on the volume'
    this.giveUp(fault('NO_SPACE', `the log can't grow (${why}): free space, then try again`))
    this.settle()
  }

  /** Nothing more is written in this epoch: the file's end is in doubt until it is reopened. */
  private failed(group: Group, error: Error): void {
    this.inFlight = undefined
    this.intake = 'closed'
    group.refuse(
      fault('UNAVAILABLE', `the log failed while the write was under way: ${error.message}`),
    )
    // What gathered behind it was never written: the client may send it again.
    this.giveUp(MOVED_ANSWER)
    this.ports.onFailure(error)
    this.settle()
  }

  private giveUp(answer: Answer): void {
    const given = this.groups.splice(0)
    this.pending.clear()
    this.mayHideEnded = true
    this.nextRevision = given[0]?.firstRevision ?? this.nextRevision
    this.ports.sessions.discardFrom(this.nextRevision)
    for (const group of given) group.refuse(answer)
  }

  /** Takes no more writes. Resolves when those taken are answered. */
  close(): Promise<void> {
    this.intake = 'closed'
    if (this.inFlight === undefined && this.groups.length === 0) return Promise.resolve()
    this.closing ??= new Promise((resolve) => {
      this.onIdle = resolve
    })
    return this.closing
  }

  private settle(): void {
    if (this.inFlight === undefined && this.groups.length === 0) this.onIdle?.()
  }
}

function writeEffect(group: Group, effect: Decided, version: number): Held {
  const { writer } = group
  switch (effect.type) {
    case 'put':
      return writePut(writer, effect, version)
    case 'touch':
      writeTouch(writer, effect.key, effect.held.expiresAt)
      return effect.held
    case 'delete':
    case 'expire':
      writeRemoval(writer, effect.key, effect.type)
      return tombstone(version)
  }
}
