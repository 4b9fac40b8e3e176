/**
 * Reads answers: each has the shape that its call says (`batch-reply.ts` of the protocol has the
 * table). Any other shape throws `PROTOCOL`. Values are decoded here, into memory of their own.
 */
import type { AtomicOperation, WireReader } from '@kv/protocol'
import { decodeValue, KEY_BYTES_MAX, KvError, MESSAGE_BYTES_MAX, protocolError } from '@kv/protocol'
import { quoteKey } from './call-errors.js'
import type { PendingCall } from './pending-call.js'

export interface FoundEntry {
  readonly key: string
  readonly value: unknown
  readonly version: number
  readonly expiresAt?: number
}

/** A part of a range: counted or cleared up to `resume`, or to the end if there is none. */
export interface RangePart {
  readonly count: number
  readonly resume: string | undefined
}

/** A page of a shard. The rest begins (in reverse: ends) at `resume`; none: there is no rest. */
export interface ShardPage {
  /** Entries, or keys if the scan asked for these only. */
  readonly items: readonly (FoundEntry | string)[]
  readonly resume: string | undefined
}

/** A check that did not hold. The node leaves out entries that would make its answer too large. */
export interface FailedCheck {
  readonly key: string
  readonly current: FoundEntry | 'left out' | undefined
}

export type AtomicAnswer =
  | { readonly ok: true; readonly version: number; readonly results: readonly unknown[] }
  | { readonly ok: false; readonly failed: readonly FailedCheck[] }

/** Of `lock`: it has it; it waits with `ticket` behind another, 0 being the lock; or neither. */
export type LockAnswer =
  | { readonly type: 'granted'; readonly version: number }
  | { readonly type: 'queued'; readonly ticket: number; readonly behind: number }
  | { readonly type: 'busy' }

/** A bound may be the successor of the longest key. */
const BOUND_BYTES_MAX = KEY_BYTES_MAX + 4
const APPLIED = Object.freeze({ ok: true })

export class AnswerReader {
  private readonly reader: WireReader
  private damage: KvError | undefined = undefined

  constructor(reader: WireReader) {
    this.reader = reader
  }

  /**
   * The answer to `call` on `key`, as the user gets it. A value that this client can't decode fails this
   * call only: the answer around it is sound. That error is returned, never thrown.
   */
  read(call: PendingCall, key: string = call.key): unknown {
    const answer = this.readAnswer(call, key)
    if (this.damage === undefined) return answer
    const { damage } = this
    this.damage = undefined
    return damage
  }

  private readAnswer(call: PendingCall, key: string): unknown {
    const { reader } = this
    switch (call.kind) {
      case 'get':
        return reader.skipNil() ? undefined : this.value(key)
      case 'entry':
        return this.maybeEntry(key)
      case 'has':
      case 'delete':
      case 'touch':
      case 'unlock':
        return reader.boolean()
      case 'lock':
        return this.lock()
      case 'set':
        if (call.isConditional && (reader.isNil() || reader.isArray())) {
          return { ok: false, current: this.maybeEntry(key) }
        }
        return { ok: true, version: reader.unsigned() }
      case 'deleteIf':
        if (!reader.isNil() && !reader.isArray()) return this.applied()
        return { ok: false, current: this.maybeEntry(key) }
      case 'increment':
        return this.counter()
      case 'scan':
        return this.page(call.keysOnly)
      case 'atomic':
        return this.atomic(call.atomic?.operations ?? [])
      case 'count':
      case 'clear':
        reader.tuple(2)
        return { count: reader.unsigned(), resume: this.maybeBound() }
      case 'topology':
        throw protocolError('an answer to a call that was never sent')
    }
  }

  private applied(): object {
    if (!this.reader.boolean()) throw protocolError('false where true or an entry is due')
    return APPLIED
  }

  private maybeEntry(key: string): FoundEntry | undefined {
    const { reader } = this
    if (reader.skipNil()) return undefined
    reader.tuple(3)
    const version = reader.unsigned()
    const expiresAt = reader.unsigned()
    return entryOf(key, this.value(key), version, expiresAt)
  }

  private counter(): object {
    const { reader } = this
    reader.tuple(3)
    const value = reader.number()
    const version = reader.unsigned()
    const expiresAt = reader.unsigned()
    return expiresAt === 0 ? { value, version } : { value, version, expiresAt }
  }

  private lock(): LockAnswer {
    const { reader } = this
    if (reader.skipNil()) return { type: 'busy' }
    if (!reader.isArray()) return { type: 'granted', version: reader.unsigned() }
    reader.tuple(2)
    return { type: 'queued', ticket: reader.unsigned(), behind: reader.unsigned() }
  }

  private atomic(operations: readonly AtomicOperation[]): AtomicAnswer {
    const { reader } = this
    reader.tuple(2)
    const version = reader.unsigned()
    if (version === 0) return { ok: false, failed: this.failedChecks(operations) }
    reader.tuple(operations.length)
    const results = operations.map(({ type }) => this.atomicResult(type, version))
    return { ok: true, version, results }
  }

  private atomicResult(type: AtomicOperation['type'], version: number): unknown {
    const { reader } = this
    switch (type) {
      case 'check':
        reader.nil()
        return true
      case 'set':
        reader.nil()
        return { ok: true, version }
      case 'delete':
      case 'touch':
        return reader.boolean()
      case 'increment':
        return this.counter()
    }
  }

  private failedChecks(operations: readonly AtomicOperation[]): FailedCheck[] {
    const { reader } = this
    const count = reader.array(2 * operations.length) / 2
    return Array.from({ length: count }, () => {
      const operation = operations[reader.unsigned()]
      if (operation?.type !== 'check') throw protocolError('a check failed that was not asked for')
      const { key } = operation
      if (reader.isNil() || reader.isArray()) return { key, current: this.maybeEntry(key) }
      if (reader.boolean()) throw protocolError('true where an entry is due')
      return { key, current: 'left out' }
    })
  }

  private page(keysOnly: boolean): ShardPage {
    const { reader } = this
    const fields = reader.array(MESSAGE_BYTES_MAX)
    const fieldsEach = keysOnly ? 1 : 4
    if ((fields - 1) % fieldsEach !== 0) throw protocolError(`a page of ${fields} fields`)
    const resume = this.maybeBound()
    const items: (FoundEntry | string)[] = []
    for (let left = fields - 1; left > 0; left -= fieldsEach) {
      const key = reader.text(KEY_BYTES_MAX)
      if (keysOnly) {
        items.push(key)
        continue
      }
      const version = reader.unsigned()
      const expiresAt = reader.unsigned()
      items.push(entryOf(key, this.value(key), version, expiresAt))
    }
    return { items, resume }
  }

  private maybeBound(): string | undefined {
    return this.reader.skipNil() ? undefined : this.reader.text(BOUND_BYTES_MAX)
  }

  private value(key: string): unknown {
    const { reader } = this
    const length = reader.binaryLength(MESSAGE_BYTES_MAX)
    try {
      return decodeValue(reader.bytes, reader.position - length, reader.position, reader.view)
    } catch (cause) {
      this.damage ??= new KvError(
        'INVALID_VALUE',
        `the value stored under ${quoteKey(key)} is not one this client can read: ` +
          'was it written by a newer version, or not by kv?',
        { cause },
      )
      return undefined
    }
  }
}

function entryOf(key: string, value: unknown, version: number, expiresAt: number): FoundEntry {
  return expiresAt === 0 ? { key, value, version } : { key, value, version, expiresAt }
}
