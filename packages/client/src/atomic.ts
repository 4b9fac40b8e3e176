/**
 * Gathers the operations of an atomic batch and sends them as one call.
 *
 * Nothing throws before `commit`: the first mistake is kept, and is what `commit` rejects with.
 */
import type { AtomicOperation } from '@kv/protocol'
import {
  ATOMIC_OPERATIONS_MAX,
  assertKey,
  atomicCall,
  CALL_SPARE_BYTES,
  crossShardProblem,
  KvError,
  routeHash,
  utf8Length,
  WireWriter,
} from '@kv/protocol'
import type { AtomicIncrementOptions } from './atomic-batch.js'
import { expiryOf, finiteOf, maybeFiniteOf, timeoutOf, ttlOf, versionOf } from './call-options.js'
import type { CallOptions, Expiry } from './keyspace.js'
import {
  assertOptions,
  ATOMIC_INCREMENT_OPTIONS,
  ATOMIC_SET_OPTIONS,
  CALL_OPTIONS,
} from './known-options.js'
import type { ManyCalls } from './many-calls.js'
import { mistakeIn } from './mistakes.js'
import type { AtomicAnswer, FailedCheck, FoundEntry } from './session/answers.js'
import { PendingCall } from './session/pending-call.js'
import type { Session } from './session/session.js'
import { writeValue } from './value-scratch.js'

/** Most bytes of an operation on the wire beside its key and value: five numbers and their heads. */
const OPERATION_BYTES = 64

/** How the keys and values of a keyspace are those of the client. */
export interface AtomicKeyspace {
  full(key: string): string
  /** Throws for a value that does not fit. */
  stored(key: string, value: unknown): unknown
  /** What stands under a full key, as it is told. */
  conflict(key: string, entry: FoundEntry | undefined): Conflict
}

export interface Conflict {
  readonly key: string
  readonly current: FoundEntry | undefined
}

export interface AtomicPorts {
  readonly session: Session
  readonly many: ManyCalls
  readonly keyspace: AtomicKeyspace
}

export class AtomicBuilder {
  private readonly ports: AtomicPorts
  private readonly operations: AtomicOperation[] = []
  /** Values, encoded, one behind the other. */
  private readonly memory = new WireWriter()
  private bytes = 0
  private mistake: unknown = undefined
  private isCommitted = false

  constructor(ports: AtomicPorts) {
    this.ports = ports
  }

  check(name: string, version: number | null): this {
    return this.add('check', name, (key) => ({
      type: 'check',
      key,
      version: version === null ? null : versionOf('version', version),
    }))
  }

  set(name: string, value: unknown, options: Expiry = {}): this {
    return this.add('set', name, (key) => {
      assertOptions(options, ATOMIC_SET_OPTIONS)
      const expiry = expiryOf(options)
      const { memory, ports } = this
      const start = memory.position
      const stored = ports.keyspace.stored(name, value)
      writeValue(memory, key, stored, ports.session.valueBytesMax)
      const end = memory.position
      this.bytes += end - start
      return { type: 'set', key, source: memory.bytes, start, end, expiry, ifVersion: undefined }
    })
  }

  delete(name: string): this {
    return this.add('delete', name, (key) => ({ type: 'delete', key }))
  }

  touch(name: string, ttl: number | null): this {
    return this.add('touch', name, (key) => ({
      type: 'touch',
      key,
      ttlMs: ttl === null ? undefined : ttlOf(ttl),
    }))
  }

  increment(name: string, by: number = 1, options: AtomicIncrementOptions = {}): this {
    return this.add('increment', name, (key) => {
      assertOptions(options, ATOMIC_INCREMENT_OPTIONS)
      return {
        type: 'increment',
        key,
        by: finiteOf('by', by),
        ttlMs: options.ttl === undefined ? undefined : ttlOf(options.ttl),
        min: maybeFiniteOf('min', options.min),
        max: maybeFiniteOf('max', options.max),
      }
    })
  }

  /** Takes an operation, or keeps the first reason why not. What is too much is not encoded. */
  private add(method: string, name: string, make: (key: string) => AtomicOperation): this {
    if (this.mistake !== undefined || this.isCommitted) return this
    try {
      const key = this.ports.keyspace.full(name)
      assertKey(key)
      this.operations.push(make(key))
      this.bytes += OPERATION_BYTES + utf8Length(key)
      this.mistake = this.tooLarge()
    } catch (error) {
      this.mistake = mistakeIn(`${method} in an atomic batch`, name, error)
    }
    return this
  }

  private tooLarge(): KvError | undefined {
    const { length } = this.operations
    const bytesMax = this.ports.session.valueBytesMax + CALL_SPARE_BYTES
    let what: string
    if (length > ATOMIC_OPERATIONS_MAX) what = `more than ${ATOMIC_OPERATIONS_MAX} operations`
    else if (this.bytes <= bytesMax || length === 1) return undefined
    else what = `about ${this.bytes} bytes, and the node takes ${bytesMax} at most`
    const message = `an atomic batch has ${what}: split what need not be atomic`
    return new KvError('BATCH_TOO_LARGE', message)
  }

  async commit(options: CallOptions = {}): Promise<unknown> {
    const { session } = this.ports
    const call = this.pendingCall(options)
    const operations = this.operations.map((operation) => this.settled(operation))
    call.atomic = { operations, hashes: operations.map(({ key }) => routeHash(key)) }
    const sent = session.call(call, atomicCall(operations), options.signal)
    const answer = (await sent) as AtomicAnswer
    if (answer.ok) return answer
    return { ok: false, failed: await this.whole(answer.failed, call.deadline, options.signal) }
  }

  private pendingCall(options: CallOptions): PendingCall {
    assertOptions(options, CALL_OPTIONS)
    const timeoutMs = timeoutOf(options.timeout)
    if (this.isCommitted) {
      throw new TypeError('an atomic batch can be committed once: begin another with atomic()')
    }
    this.isCommitted = true
    if (this.mistake !== undefined) throw this.mistake as Error
    const [first] = this.operations
    if (first === undefined) throw new TypeError('commit of an atomic batch that has no operation')
    const { session } = this.ports
    const { shardCount } = session
    // Before the first connection nobody knows; then the node finds out.
    const problem = shardCount && crossShardProblem(this.operations, shardCount)
    if (typeof problem === 'string') throw new KvError('CROSS_SHARD', problem)
    const deadline = session.deadlineIn(timeoutMs)
    return new PendingCall('atomic', first.key, routeHash(first.key), deadline)
  }

  /** The memory of the values may have been replaced as it grew. */
  private settled(operation: AtomicOperation): AtomicOperation {
    return operation.type === 'set' ? { ...operation, source: this.memory.bytes } : operation
  }

  /** Asks for the entries that the answer had no room for. */
  private async whole(
    failed: readonly FailedCheck[],
    deadline: number,
    signal: AbortSignal | undefined,
  ): Promise<Conflict[]> {
    const missing = failed.filter(({ current }) => current === 'left out').map(({ key }) => key)
    const terms = { deadline, signal, isReplica: false }
    const found =
      missing.length === 0
        ? []
        : ((await this.ports.many.read('entry', missing, terms)) as FoundEntry[])
    const byKey = new Map(missing.map((key, index) => [key, found[index]]))
    return failed.map(({ key, current }) =>
      this.ports.keyspace.conflict(key, current === 'left out' ? byKey.get(key) : current),
    )
  }
}
