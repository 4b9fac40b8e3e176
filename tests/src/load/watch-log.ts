/**
 * Reads a watch to its end in the background and keeps what came: what a test says of it afterwards
 * is about the whole stream.
 */
import type { UntypedClient, WatchOptions } from '@kv/client'
import { until } from '../scene/until.js'

export interface Seen {
  readonly type: 'set' | 'delete' | 'expire' | 'ready' | 'reset'
  readonly key: string
  readonly value: unknown
  readonly version: number
  readonly reason: string | undefined
}

type What = string | readonly string[] | { readonly prefix: string }

export class WatchLog {
  readonly seen: Seen[] = []
  /** Why the stream ended, once it has. */
  failure: unknown
  /** Where a watch goes on after the last event. */
  cursor = ''
  private readonly stopping = new AbortController()
  private readonly reading: Promise<void>

  constructor(client: UntypedClient, what: What, options: WatchOptions = {}) {
    this.reading = this.read(client, what, options)
  }

  private async read(client: UntypedClient, what: What, options: WatchOptions): Promise<void> {
    const { signal } = this.stopping
    try {
      // One signature takes each of the three; the compiler wants to know which.
      for await (const event of client.watch(what as { prefix: string }, { ...options, signal })) {
        const { type, key = '', value, version = 0, reason } = event as Partial<Seen>
        this.seen.push({ type: type as Seen['type'], key, value, version, reason })
        this.cursor = event.cursor
      }
    } catch (error) {
      this.failure = error
    }
  }

  async untilReady(): Promise<void> {
    await until('the watch is ready', () => this.has(({ type }) => type === 'ready'))
  }

  async untilSeen(key: string, value: unknown): Promise<void> {
    const isIt = (seen: Seen): boolean => seen.key === key && seen.value === value
    await until(`the watch has seen ${key}`, () => this.has(isIt))
  }

  private has(isIt: (seen: Seen) => boolean): boolean {
    if (this.failure !== undefined) throw new Error('the watch has ended', { cause: this.failure })
    return this.seen.some(isIt)
  }

  /** Changes alone, as text. */
  get changes(): string[] {
    return this.seen
      .filter(({ key }) => key !== '')
      .map(({ type, key, value }) => `${type} ${key}${type === 'set' ? ` ${String(value)}` : ''}`)
  }

  countOf(type: Seen['type']): number {
    return this.seen.filter((seen) => seen.type === type).length
  }

  async stop(): Promise<void> {
    this.stopping.abort(new Error('the test has seen enough'))
    await this.reading
  }

  /** What is wrong with the stream: versions of a key that do not grow, or came twice. */
  violations(): string[] {
    const last = new Map<string, number>()
    const found: string[] = []
    for (const { type, key, version } of this.seen) {
      if (key === '') continue
      if (version <= (last.get(key) ?? 0)) found.push(`${type} ${key} ${version} comes too late`)
      last.set(key, version)
    }
    return found
  }
}
