/**
 * Calls on ranges of keys: made at every shard that may hold some of them.
 */
import type { ReadTerms } from './call-options.js'
import { isReplicaRead, timeoutOf } from './call-options.js'
import type { Listing, ListOptions, Range } from './keyspace.js'
import type { Present } from './listing/key-listing.js'
import { KeyListing } from './listing/key-listing.js'
import { isEmptyRange, keyRangeOf, shardsUnder } from './listing/range.js'
import { sumOverShards } from './range-sum.js'
import type { RangePart, ShardPage } from './session/answers.js'
import { PendingCall } from './session/pending-call.js'
import type { Session } from './session/session.js'

export class RangeCalls {
  private readonly session: Session

  constructor(session: Session) {
    this.session = session
  }

  list<T>(call: 'list' | 'keys', options: ListOptions, present?: Present): Listing<T> {
    const { session } = this
    const keysOnly = call === 'keys'
    return new KeyListing<T>(options, {
      call,
      present,
      shardCount: () => {
        isReplicaRead(options.consistency)
        const deadline = session.deadlineIn(timeoutOf(options.timeout))
        return this.shardCount(deadline, options.signal)
      },
      fetchPage: async (shard, range, limit) => {
        const deadline = session.deadlineIn(timeoutOf(options.timeout))
        const scan = new PendingCall('scan', '', shard, deadline)
        scan.keysOnly = keysOnly
        scan.isReplica = isReplicaRead(options.consistency)
        const reverse = options.reverse === true
        const wire = { type: 'scan', shard, ...range, limit, reverse, keysOnly } as const
        return (await session.call(scan, wire, options.signal)) as ShardPage
      },
    })
  }

  /** How many keys the range has, or had: `clear` deletes them. */
  async sum(
    kind: 'count' | 'clear',
    range: Range,
    { deadline, signal, isReplica }: ReadTerms,
  ): Promise<number> {
    const { session } = this
    const keys = keyRangeOf(range)
    signal?.throwIfAborted()
    if (isEmptyRange(keys)) return 0
    // Without a wait if the number is known: later reads of this turn must find the calls made.
    const known = this.shardCount(deadline, signal)
    const shards = shardsUnder(range.prefix, typeof known === 'number' ? known : await known)
    return sumOverShards(shards, keys, async (shard, rest) => {
      const call = new PendingCall(kind, '', shard, deadline)
      call.isReplica = isReplica
      const wire = { type: kind, shard, ...rest } as const
      return (await session.call(call, wire, signal)) as RangePart
    })
  }

  private shardCount(deadline: number, signal: AbortSignal | undefined): number | Promise<number> {
    const { session } = this
    return session.shardCount ?? (session.waitForTopology(deadline, signal) as Promise<number>)
  }
}
