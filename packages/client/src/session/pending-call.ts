/**
 * One call that waits for its answer.
 *
 * It does not keep what was asked, only where the encoded bytes of it are: sending it again is
 * copying those bytes into another batch, the same for every kind of call.
 */
import type { AtomicOperation, Call, KvError, WireWriter } from '@kv/protocol'
import { CALL_TAGS, routeHash } from '@kv/protocol'
import type { KeyRun } from './key-run.js'

/** A call of the protocol, or the wait for the first topology, which is never sent. */
export type CallKind = Call['type'] | 'topology'

/** The memory that holds a call's encoded bytes. */
export interface CallPlace {
  readonly writer: WireWriter
  /** By position in the batch. */
  readonly calls: PendingCall[]
  /** Whether the bytes may have reached the node. */
  readonly isSent: boolean
  /** Calls in it, by key, that settled before they were sent: their bytes must not be sent any more. */
  settledCount: number
  /** Takes such calls out once they are many. */
  maybeCompact(): void
}

/** What is counted for the shard a call goes to. */
export interface CallRoute {
  readonly shard: number
  /** Writes of this client that are not answered yet, sent or not. */
  writesUnanswered: number
  /** Of these, the ones that a child may be working on. */
  writesInFlight: number
}

/** Receives the results of several calls, each by its position. */
export interface CallGroup {
  /** Calls that have not settled, to be counted by who makes them. */
  openCount: number
  /** A result of a call that has more to come before it settles. */
  put(index: number, value: unknown): void
  fulfil(index: number, value: unknown): void
  fail(index: number, error: KvError): void
}

type Resolve = (value: unknown) => void
type Reject = (reason: unknown) => void

let resolveNext: Resolve = ignore
let rejectNext: Reject = ignore

/** Shared by all promises, so that none of them costs a closure of ours. */
function capture(resolve: Resolve, reject: Reject): void {
  resolveNext = resolve
  rejectNext = reject
}

function ignore(): void {}

/** What there is to know of an `atomic` beyond its first key. */
export interface AtomicParts {
  readonly operations: readonly AtomicOperation[]
  /** Routing hash of each operation's key. */
  readonly hashes: readonly number[]
}

export class PendingCall {
  readonly kind: CallKind
  /** Empty for a call on a shard. */
  readonly key: string
  /** `routeHash(key)`, or the number of the shard. */
  readonly hash: number
  /** When it is given up, by the session's clock. */
  deadline: number
  readonly isWrite: boolean
  /** Travels in a batch of writes: it is one, or must be answered after the writes before it. */
  isOrdered: boolean
  /** A read that any copy in sync may answer; it need not see this client's own writes. */
  isReplica = false
  /** A `set` that may be refused for the version it found. */
  isConditional = false
  /** Of a read that stands for many keys; `key` is the first of them, `hash` and `route` are its. */
  run: KeyRun | undefined = undefined
  /** A `scan` that wants no values. */
  keysOnly = false
  /** Of an `atomic`. */
  atomic: AtomicParts | undefined = undefined
  /** Its promise was rejected by an abort after it was sent: it must not be sent again. */
  isAbandoned = false
  /** Position among all calls of the client: the order in which writes must take effect. */
  order = 0
  /** Given when it is first sent in a batch of writes, and kept from then on; 0 before. */
  sequence = 0
  /** When it was first sent with that number. */
  firstSentAt = 0
  /** It was sent, and nobody said what became of it: it may have taken effect. */
  isInDoubt = false

  place: CallPlace | undefined = undefined
  /** The encoded call is `place.writer.bytes[start, end)`. */
  start = 0
  end = 0
  route: CallRoute | undefined = undefined

  isSettled = false
  group: CallGroup | undefined = undefined
  index = 0
  stopListening: (() => void) | undefined = undefined
  private resolve: Resolve = ignore
  private reject: Reject = ignore

  constructor(kind: CallKind, key: string, hash: number, deadline: number) {
    this.kind = kind
    this.key = key
    this.hash = hash
    this.deadline = deadline
    this.isWrite = kind !== 'topology' && CALL_TAGS[kind] >= CALL_TAGS.set
    this.isOrdered = this.isWrite
  }

  /** The promise of a call that stands alone; call it once. */
  promise(): Promise<unknown> {
    const promise = new Promise<unknown>(capture)
    this.resolve = resolveNext
    this.reject = rejectNext
    return promise
  }

  fulfil(value: unknown): void {
    this.isSettled = true
    if (this.stopListening !== undefined) this.forgetSignal()
    if (this.group === undefined) this.resolve(value)
    else this.group.fulfil(this.index, value)
  }

  fail(error: KvError): void {
    this.isSettled = true
    if (this.stopListening !== undefined) this.forgetSignal()
    if (this.group === undefined) this.reject(error)
    else this.group.fail(this.index, error)
  }

  /** Rejects the promise at once, while the call itself goes on until it is answered. */
  abandon(reason: unknown): void {
    this.isAbandoned = true
    this.forgetSignal()
    this.reject(reason)
    this.resolve = ignore
    this.reject = ignore
  }

  private forgetSignal(): void {
    this.stopListening?.()
    this.stopListening = undefined
  }
}

/** What the calls of one `getMany` or the like have in common. */
export interface KeyCallTerms {
  readonly kind: CallKind
  readonly deadline: number
  readonly isReplica: boolean
  /** Gets the results, by index. */
  readonly group: CallGroup | undefined
}

/** A call on one key of many. */
export function keyCall(terms: KeyCallTerms, key: string, index: number): PendingCall {
  const call = new PendingCall(terms.kind, key, routeHash(key), terms.deadline)
  call.isReplica = terms.isReplica
  call.group = terms.group
  call.index = index
  return call
}
