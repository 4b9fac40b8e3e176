/**
 * Writes that a watch must have seen: many keys over all shards, one write of each at a time, until
 * the test has had enough. Keeps which versions were acknowledged.
 */
import type { UntypedClient } from '@kv/client'
import { until } from '../scene/until.js'
import type { WatchLog } from './watch-log.js'

const KEYS = 64

export class WatchedWrites {
  acknowledged = 0
  private readonly versions = new Set<string>()
  private readonly client: UntypedClient
  private readonly prefix: string
  private isEnding = false
  private readonly writing: Promise<unknown>

  constructor(client: UntypedClient, prefix: string) {
    this.client = client
    this.prefix = prefix
    this.writing = Promise.all(Array.from({ length: KEYS }, (_, index) => this.write(index)))
  }

  private async write(index: number): Promise<void> {
    const key = `${this.prefix}${index}`
    for (let value = 0; !this.isEnding; value += 1) {
      try {
        const { version } = await this.client.set(key, value)
        this.versions.add(`${key} ${version}`)
        this.acknowledged += 1
      } catch {
        // It may have been applied or not: the watch may show it once.
      }
    }
  }

  async untilAcknowledged(more: number): Promise<void> {
    const due = this.acknowledged + more
    await until(`${more} more writes are acknowledged`, () => this.acknowledged >= due, 30_000)
  }

  async end(): Promise<void> {
    this.isEnding = true
    await this.writing
    await this.client.set(`${this.prefix}end`, 'end')
  }

  /** Acknowledged writes that the watch has not shown. */
  missingIn(log: WatchLog): string[] {
    const seen = new Set(log.seen.map(({ key, version }) => `${key} ${version}`))
    return [...this.versions].filter((write) => !seen.has(write))
  }
}
