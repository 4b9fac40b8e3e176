/**
 * Reads of one copy of a shard, answered at once from what is committed: its overlay, then its
 * stored state. What is only pending, or in a backup's tail, is in neither.
 */
import type { KeyRange, ReadCall } from '@kv/protocol'
import { PAGE_ENTRIES_MAX, WireWriter } from '@kv/protocol'
import { writeEntry, writeValue } from './answer.js'
import type { Held, LiveHeld } from './held.js'
import { visibleAt } from './held.js'
import type { Replica } from './replica.js'
import type { PageRequest } from './scan.js'
import { readPage, sortOverlay } from './scan.js'
import { stateDamageIn } from './state/stored-entry.js'

/** Keys a `count` looks at in one call. */
const COUNT_KEYS_MAX = 1_500

/** A copy that reads are answered from: that of a primary, or that of a backup in sync. */
export interface ReadableCopy {
  /** Of its shard. */
  readonly id: number
  /**
   * Answers a call. Scans and counts need `sortSome` to have finished. Returns how many keys it had to look
   * at.
   */
  read(call: ReadCall, nowMs: number, writer: WireWriter): number
  /** Sorts a part of what ordered reads need. Returns whether more is left to do. */
  sortSome(): boolean
}

export class CommittedReads {
  private readonly replica: Pick<Replica, 'overlay' | 'state'>
  private readonly onDamage: (damage: Error) => void
  private answered = 0
  /** Keys that the last page looked at. */
  private examined = 0

  /** `onDamage`: a stored entry is damaged. Nothing else of this copy may be served then (P8). */
  constructor(replica: Pick<Replica, 'overlay' | 'state'>, onDamage: (damage: Error) => void) {
    this.replica = replica
    this.onDamage = onDamage
  }

  /** Calls answered since the copy was opened. */
  get count(): number {
    return this.answered
  }

  /** As `ReadableCopy.read`. */
  answer(call: ReadCall, nowMs: number, writer: WireWriter): number {
    switch (call.type) {
      case 'get':
      case 'entry':
      case 'has':
        this.answerKey(call.type, visibleAt(this.find(call.key), nowMs), writer)
        return 1
      case 'scan':
        this.answered += 1
        this.writePage(call, nowMs, writer)
        return this.examined
      case 'count':
        this.answered += 1
        this.writeCount(call, nowMs, writer)
        return this.examined
    }
  }

  /** Answers a call of one key with what was found. */
  answerKey(type: 'get' | 'entry' | 'has', found: LiveHeld | undefined, writer: WireWriter): void {
    this.answered += 1
    if (type === 'get') writeValue(writer, found)
    else if (type === 'entry') writeEntry(writer, found)
    else writer.boolean(found !== undefined)
  }

  /** Sorts a part of what ordered reads need. Returns whether more is left to do. */
  sortSome(): boolean {
    return sortOverlay(this.replica.overlay)
  }

  /** The committed entry of a key, deleted and expired ones too; valid until the next read. */
  find(key: string): Held | undefined {
    return this.replica.overlay.get(key) ?? this.stored(key)
  }

  private stored(key: string): LiveHeld | undefined {
    try {
      return this.replica.state.get(key)
    } catch (error) {
      this.notice(error)
      throw error
    }
  }

  /** One page of a range (`readPage`). */
  page(request: PageRequest, onEntry: (key: string, held: LiveHeld) => void): string | undefined {
    const { overlay, state } = this.replica
    // What came since `sortSome` had nothing left, so that no committed key is missed.
    while (this.sortSome());
    try {
      const { resume, examined } = readPage(overlay, state, request, onEntry)
      this.examined = examined
      return resume
    } catch (error) {
      this.notice(error)
      throw error
    }
  }

  /** The first keys of a range that are there, and where the rest begins. */
  firstKeys(range: KeyRange, nowMs: number): { keys: string[]; resume: string | undefined } {
    const keys: string[] = []
    const request = { range, limit: PAGE_ENTRIES_MAX, reverse: false, nowMs, bytesSoft: Infinity }
    const resume = this.page(request, (key) => {
      keys.push(key)
    })
    return { keys, resume }
  }

  private notice(error: unknown): void {
    const damage = stateDamageIn(error)
    if (damage !== undefined) this.onDamage(damage)
  }

  private writePage(
    call: Extract<ReadCall, { type: 'scan' }>,
    nowMs: number,
    writer: WireWriter,
  ): void {
    const { limit, reverse, keysOnly } = call
    const entries = new WireWriter()
    let count = 0
    const resume = this.page({ range: call, limit, reverse, nowMs }, (key, held) => {
      count += 1
      entries.text(key)
      if (keysOnly) return
      entries.integer(held.version)
      entries.integer(held.expiresAt)
      entries.binary(held.memory.bytes, held.start, held.end)
    })
    writer.array(1 + count * (keysOnly ? 1 : 4))
    writeResume(writer, resume)
    writer.raw(entries.bytes, 0, entries.position)
  }

  private writeCount(
    call: Extract<ReadCall, { type: 'count' }>,
    nowMs: number,
    writer: WireWriter,
  ): void {
    let count = 0
    const request = { range: call, limit: COUNT_KEYS_MAX, reverse: false, nowMs }
    const resume = this.page({ ...request, bytesSoft: Infinity }, () => {
      count += 1
    })
    writer.array(2)
    writer.integer(count)
    writeResume(writer, resume)
  }
}

function writeResume(writer: WireWriter, resume: string | undefined): void {
  if (resume === undefined) writer.nil()
  else writer.text(resume)
}
