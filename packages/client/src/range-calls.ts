/**
 * Calls on ranges of keys: made at every shard that may hold some of them.
 */
import { sumOverShards } from './range-sum.js'
import { timeoutOf } from './call-options.js'
import type { CallOptions, Listing, ListOptions, Range } from './keyspace.js'
import { KeyListing } from './listing/key-listing.js'
import { isEmptyRange, keyRangeOf, shardsUnder } from './listing/range.js'
import type { RangePart, ShardPage } from './session/answers.js'
import { PendingCall } from './session/pending-call.js'
import type { Session } from './session/session.js'

export class RangeCalls {
  private readonly session: Session

  constructor(session: Session) {
    this.session = session
  }

  list<T>(options: ListOptions, keysOnly: boolean): Listing<T> {
    const { session } = this
    return new KeyListing<T>(options, {
      shardCount: () => this.shardCount(session.deadlineIn(timeoutOf(options.timeout)), options),
      fetchPage: async (shard, range, limit) => {
        const deadline = session.deadlineIn(timeoutOf(options.timeout))
        const call = new PendingCall('scan', '', shard, deadline)
        call.keysOnly = keysOnly
        const reverse = options.reverse === true
        const wire = { type: 'scan', shard, ...range, limit, reverse, keysOnly } as const
        return (await session.call(call, wire, options.signal)) as ShardPage
      },
    })
  }

  /** How many keys the range has, or had: `clear` deletes them. */
  async sum(kind: 'count' | 'clear', range: Range, options: CallOptions): Promise<number> {
    const { session } = this
    const keys = keyRangeOf(range)
    const deadline = session.deadlineIn(timeoutOf(options.timeout))
    options.signal?.throwIfAborted()
    if (isEmptyRange(keys)) return 0
    // Without a wait if the number is known: later reads of this turn must find the calls made.
    const known = this.shardCount(deadline, options)
    const shards = shardsUnder(range.prefix, typeof known === 'number' ? known : await known)
    return sumOverShards(shards, keys, async (shard, rest) => {
      const call = new PendingCall(kind, '', shard, deadline)
      const wire = { type: kind, shard, ...rest } as const
      return (await session.call(call, wire, options.signal)) as RangePart
    })
  }

  private shardCount(deadline: number, { signal }: CallOptions): number | Promise<number> {
    const { session } = this
    return session.shardCount ?? (session.waitForTopology(deadline, signal) as Promise<number>)
  }
}
