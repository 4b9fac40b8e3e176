/**
 * The sorted items of one shard, fetched in pages.
 *
 * The next page is asked for when half of the last is used up, and never more than fills
 * `pageSize` together with what is still unused. So at any time at most one page of a shard has
 * been fetched in vain.
 */
import type { KeyRange } from '@kv/protocol'
import type { FoundEntry, ShardPage } from '../session/answers.js'
import type { MergeSource } from './merge.js'

/** An entry, or a key alone. */
export type Item = FoundEntry | string

export function keyOf(item: Item): string {
  return typeof item === 'string' ? item : item.key
}

/** Fetches up to `limit` items of a shard's part of the range. */
export type FetchPage = (shard: number, range: KeyRange, limit: number) => Promise<ShardPage>

export interface PageSourceOptions {
  readonly shard: number
  readonly range: KeyRange
  readonly reverse: boolean
  /** Items of the first page; later ones double up to `pageSize`. */
  readonly firstPageSize: number
  readonly pageSize: number
  readonly fetchPage: FetchPage
}

export class PageSource implements MergeSource {
  headKey = ''
  private readonly options: PageSourceOptions
  private items: readonly Item[] = []
  private position = 0
  /** What is not fetched yet; `undefined` if nothing is left. */
  private rest: KeyRange | undefined
  private nextPageSize: number
  private fetching: Promise<void> | undefined = undefined

  constructor(options: PageSourceOptions) {
    this.options = options
    this.rest = options.range
    this.nextPageSize = options.firstPageSize
  }

  get isEmpty(): boolean {
    return this.position >= this.items.length
  }

  /** Whether nothing is left, here or at the shard. */
  get isExhausted(): boolean {
    return this.isEmpty && this.rest === undefined
  }

  /** Hands out the next item; there must be one. */
  take(): Item {
    const item = this.items[this.position]!
    this.position += 1
    this.updateHead()
    return item
  }

  /** Asks for more if it is time to, of which at most `needed` items can be used. */
  maybeFetch(needed: number): void {
    const { options, rest } = this
    if (rest === undefined || this.fetching !== undefined) return
    const unused = this.items.length - this.position
    if (unused * 2 > this.items.length) return
    const limit = Math.min(this.nextPageSize, options.pageSize - unused, needed - unused)
    if (limit <= 0) return
    this.nextPageSize = Math.min(options.pageSize, this.nextPageSize * 2)
    this.fetching = this.fetch(rest, limit)
    // The failure is met when the page is needed, or never.
    this.fetching.catch(() => {})
  }

  private async fetch(range: KeyRange, limit: number): Promise<void> {
    const { shard, reverse, fetchPage } = this.options
    const { items, resume } = await fetchPage(shard, range, limit)
    this.items = this.items.slice(this.position).concat(items)
    this.position = 0
    this.rest = undefined
    if (resume !== undefined) {
      this.rest = reverse ? { from: range.from, to: resume } : { from: resume, to: range.to }
    }
    this.fetching = undefined
    this.updateHead()
  }

  /** Waits until it has an item or is exhausted. A shard may send pages without items. */
  async fill(needed: number): Promise<void> {
    while (this.isEmpty && (this.rest !== undefined || this.fetching !== undefined)) {
      this.maybeFetch(needed)
      await this.fetching
    }
  }

  private updateHead(): void {
    const head = this.items[this.position]
    if (head !== undefined) this.headKey = keyOf(head)
  }
}
