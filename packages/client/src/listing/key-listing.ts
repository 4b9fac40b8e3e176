/**
 * Keys or entries of a range in order, merged over all shards: what `list` and `keys` hand out.
 */
import type { KeyRange } from '@kv/protocol'
import { PAGE_ENTRIES_MAX } from '@kv/protocol'
import type { Listing, ListOptions } from '../keyspace.js'
import { assertBoolean } from '../call-options.js'
import { assertOptions, LIST_OPTIONS } from '../known-options.js'
import { mistakeIn } from '../mistakes.js'
import { decodeCursor, encodeCursor } from './cursor.js'
import { Merge } from './merge.js'
import type { FetchPage, Item } from './page-source.js'
import { keyOf, PageSource } from './page-source.js'
import { isEmptyRange, keyRangeOf, restAfter, shardsUnder } from './range.js'

const PAGE_SIZE_DEFAULT = 256
/** First page of each shard without a limit. */
const FIRST_PAGE_SIZE = 64
/** Items asked of each shard beyond its share of the limit: most lists then need one page each. */
const SHARE_SPARE = 8

/** Gives an item the form in which it is handed out. */
export type Present = (item: Item) => unknown

/** What a listing needs of the client. */
export interface ListingPorts {
  /** The call it is of, for people. */
  readonly call: string
  /** Items are handed out as they are without it. */
  readonly present: Present | undefined
  /** Number of shards; a promise only if it is not known yet. */
  shardCount(): number | Promise<number>
  fetchPage: FetchPage
}

interface Plan {
  readonly range: KeyRange
  /** What of it lies behind the cursor. */
  readonly rest: KeyRange
  readonly reverse: boolean
  readonly limit: number
  readonly pageSize: number
}

export class KeyListing<T> implements Listing<T> {
  private readonly options: ListOptions
  private readonly ports: ListingPorts
  private plan: Plan | undefined = undefined
  private merge: Merge<PageSource> | undefined = undefined
  /** Sources without an item, of which more may come. */
  private empty: PageSource[] = []
  private lastKey: string | undefined = undefined
  private isUsed = false
  private isReleased = false

  constructor(options: ListOptions, ports: ListingPorts) {
    this.options = options
    this.ports = ports
  }

  get cursor(): string | undefined {
    const { plan, merge } = this
    if (plan === undefined || merge === undefined) return this.options.cursor
    if (merge.first === undefined && this.empty.length === 0) return undefined
    if (this.lastKey === undefined) return this.options.cursor
    return encodeCursor(plan.range, plan.reverse, this.lastKey)
  }

  [Symbol.asyncIterator](): AsyncIterator<T, undefined> {
    return this.walk()
  }

  private async *walk(): AsyncGenerator<T, undefined> {
    if (this.isUsed) throw new TypeError('a listing can be used once: call list() or keys() again')
    this.isUsed = true
    const plan = this.planned()
    const merge = await this.open(plan)
    const { present } = this.ports
    let left = plan.limit
    while (left > 0) {
      await this.fillEmpty(merge, left)
      const source = merge.first
      if (source === undefined || this.isReleased) return undefined
      const item = source.take()
      left -= 1
      this.lastKey = keyOf(item)
      if (!source.isEmpty) {
        merge.settleFirst()
      } else {
        merge.removeFirst()
        if (!source.isExhausted) this.empty.push(source)
      }
      source.maybeFetch(left)
      yield (present === undefined ? item : present(item)) as T
    }
    return undefined
  }

  private planned(): Plan {
    try {
      return planOf(this.options)
    } catch (error) {
      throw mistakeIn(this.ports.call, undefined, error)
    }
  }

  private async open(plan: Plan): Promise<Merge<PageSource>> {
    const merge = new Merge<PageSource>(plan.reverse)
    if (!isEmptyRange(plan.rest) && plan.limit > 0) {
      const shards = shardsUnder(this.options.prefix, await this.ports.shardCount())
      const firstPageSize = firstPageSizeOf(plan, shards.length)
      this.empty = shards.map((shard) => {
        const { rest: range, reverse, pageSize } = plan
        const { fetchPage } = this.ports
        return new PageSource({ shard, range, reverse, firstPageSize, pageSize, fetchPage })
      })
    }
    this.plan = plan
    this.merge = merge
    return merge
  }

  /** Until every source that may have the next key has an item. */
  private async fillEmpty(merge: Merge<PageSource>, needed: number): Promise<void> {
    if (this.empty.length === 0) return
    await Promise.all(this.empty.map((source) => source.fill(needed)))
    for (const source of this.empty) if (!source.isEmpty) merge.add(source)
    this.empty = []
  }

  async *pages(): AsyncGenerator<T[], undefined> {
    const { pageSize } = this.planned()
    let page: T[] = []
    for await (const item of this) {
      page.push(item)
      if (page.length < pageSize) continue
      yield page
      page = []
    }
    if (page.length > 0) yield page
    return undefined
  }

  async toArray(): Promise<T[]> {
    const items: T[] = []
    for await (const item of this) items.push(item)
    return items
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.isReleased = true
    return Promise.resolve()
  }
}

function planOf(options: ListOptions): Plan {
  assertOptions(options, LIST_OPTIONS)
  const { reverse = false, limit = Infinity, pageSize = PAGE_SIZE_DEFAULT, cursor } = options
  assertBoolean('reverse', reverse)
  if (limit !== Infinity && !(Number.isSafeInteger(limit) && limit >= 0)) {
    throw new TypeError('limit is a whole number of 0 or more')
  }
  if (!(Number.isSafeInteger(pageSize) && pageSize >= 1 && pageSize <= PAGE_ENTRIES_MAX)) {
    throw new TypeError(`pageSize is a whole number from 1 to ${PAGE_ENTRIES_MAX}`)
  }
  const range = keyRangeOf(options)
  const rest =
    cursor === undefined ? range : restAfter(range, decodeCursor(cursor, range, reverse), reverse)
  return { range, rest, reverse, limit, pageSize }
}

function firstPageSizeOf({ limit, pageSize }: Plan, shardCount: number): number {
  if (limit === Infinity) return Math.min(pageSize, FIRST_PAGE_SIZE)
  return Math.min(limit, pageSize, 2 * Math.ceil(limit / shardCount) + SHARE_SPARE)
}
