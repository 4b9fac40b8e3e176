/**
 * A stream of writes and reads by several clients, and the memory of what each was answered.
 *
 * Each key has one writer, which waits for an answer before it writes the key again; many keys are
 * under way at once. Besides, each writer creates keys that are written once, and counts. Whatever is injected
 * meanwhile, `verify` then knows what must stand.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { UntypedClient } from '@kv/client'
import { KvError } from '@kv/client'
import { until } from '../scene/until.js'
import { AcknowledgedKey } from './acknowledged-key.js'
import { CountedKey } from './counted-key.js'

export interface StreamOptions {
  /** Begins every key. */
  readonly prefix: string
  /** Keys that each client writes at the same time. */
  readonly keysPerClient?: number
}

export class WriteStream {
  readonly failures: KvError[] = []
  private readonly options: StreamOptions
  private readonly keys: AcknowledgedKey[] = []
  private readonly once: AcknowledgedKey[] = []
  private readonly counters: CountedKey[] = []
  private readonly lanes: Promise<void>[] = []
  private isEnding = false
  private readCount = 0
  private writeCount = 0

  constructor(clients: readonly UntypedClient[], options: StreamOptions) {
    this.options = options
    for (const [index, client] of clients.entries()) this.begin(client, index)
  }

  get reads(): number {
    return this.readCount
  }

  private begin(client: UntypedClient, index: number): void {
    const { prefix, keysPerClient = 8 } = this.options
    const own = Array.from(
      { length: keysPerClient },
      (_, number) => new AcknowledgedKey(`${prefix}${index}/${number}`),
    )
    this.keys.push(...own)
    for (const key of own) this.run(this.writeOn(client, key))
    this.run(this.createOn(client, `${prefix}${index}/once/`))
    this.run(this.countOn(client, `${prefix}${index}/counter`))
    this.run(this.readOn(client, own))
  }

  private run(lane: Promise<void>): void {
    // Heard of in `end`, however early it fails.
    lane.catch(() => undefined)
    this.lanes.push(lane)
  }

  private async writeOn(client: UntypedClient, key: AcknowledgedKey): Promise<void> {
    while (!this.isEnding) await this.write(client, key)
  }

  private async createOn(client: UntypedClient, prefix: string): Promise<void> {
    for (let number = 0; !this.isEnding; number += 1) {
      const key = new AcknowledgedKey(`${prefix}${number}`)
      this.once.push(key)
      await this.write(client, key)
    }
  }

  private async countOn(client: UntypedClient, name: string): Promise<void> {
    const counter = new CountedKey(name)
    this.counters.push(counter)
    while (!this.isEnding) {
      try {
        counter.onAcknowledged((await client.increment(name)).value)
        this.writeCount += 1
      } catch (error) {
        if (!(error instanceof KvError)) throw error
        this.failures.push(error)
        if (error.outcome !== 'not-applied') counter.onUnknown()
        await nextTurn()
      }
    }
  }

  private async write(client: UntypedClient, key: AcknowledgedKey): Promise<void> {
    const value = key.issue()
    try {
      await client.set(key.key, value)
      key.onAcknowledged(value)
      this.writeCount += 1
    } catch (error) {
      if (!(error instanceof KvError)) throw error
      this.failures.push(error)
      if (error.outcome !== 'not-applied') key.onUnknown(value)
      await nextTurn()
    }
  }

  private async readOn(client: UntypedClient, keys: readonly AcknowledgedKey[]): Promise<void> {
    for (let number = 0; !this.isEnding; number += 1) {
      const key = keys[number % keys.length] as AcknowledgedKey
      const { floor } = key
      key.onRead(await client.get(key.key), floor)
      this.readCount += 1
    }
  }

  /** Resolves when so many more writes were acknowledged. */
  async untilAcknowledged(count: number): Promise<void> {
    const goal = this.writeCount + count
    await until(`${count} more writes are acknowledged`, () => this.writeCount >= goal)
  }

  /** Resolves when nothing is under way any more; rejects with what broke a promise meanwhile. */
  async end(): Promise<void> {
    this.isEnding = true
    await Promise.allSettled(this.lanes)
    await Promise.all(this.lanes)
  }

  /** Reads everything back: what of P1, P3 and P4 does not hold for a key, in words. */
  async violations(client: UntypedClient): Promise<string[]> {
    const all = [...this.keys, ...this.once, ...this.counters]
    const values = await client.getMany(all.map(({ key }) => key))
    return all.flatMap((key, index) => key.violation(values[index]) ?? [])
  }
}
