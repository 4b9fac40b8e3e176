/**
 * All that a node does, for as long as it takes: overwriting, deleting, entries that end, watches that
 * come and go, counters; and scaling meanwhile. It knows how much is there, by what was acknowledged.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { UntypedClient } from '@kv/client'
import { SeededRandom } from '../load/seeded-random.js'
import { request } from '../scene/http-request.js'

const OVERWRITING_LANES = 8
const VALUE_BYTES_MAX = 6_000
const WATCHED_MS = 3_000
const SCALE_PAUSE_MS = 15_000
/** What one lane may do in a second: the machine is to have something left. */
const LANE_CALLS_PER_SECOND = 400
const FAILURES_KEPT = 20

export class SoakLoad {
  /** In words; a run must have none. */
  readonly failures: string[] = []
  calls = 0
  watched = 0
  scales = 0
  private readonly client: UntypedClient
  private readonly keys: number
  private readonly sizes = new Map<string, number>()
  private readonly random: SeededRandom
  private readonly lanes: Promise<void>[] = []
  private isEnding = false
  private bytes = 0

  constructor(client: UntypedClient, options: { readonly keys: number; readonly seed: number }) {
    this.client = client
    this.keys = options.keys
    this.random = new SeededRandom(options.seed)
  }

  get liveBytes(): number {
    return this.bytes
  }

  /** Every key once, then all lanes. */
  async begin(http: string, children: readonly number[]): Promise<void> {
    for (let from = 0; from < this.keys; from += 500) {
      const some = Array.from({ length: Math.min(500, this.keys - from) }, (_, at) => from + at)
      await Promise.all(some.map((number) => this.overwrite(`kept/${number}`)))
    }
    for (let lane = 0; lane < OVERWRITING_LANES; lane += 1) {
      this.run('overwrite', () => this.overwrite(`kept/${this.random.below(this.keys)}`))
    }
    this.run('delete', () => this.remove(`kept/${this.random.below(this.keys)}`))
    this.run('ttl', () => this.writeForAWhile())
    this.run('count', () => this.client.increment(`counter/${this.random.below(10)}`))
    this.run('watch', () => this.watchForAWhile())
    if (children.length > 0) this.run('scale', () => this.scale(http, children))
  }

  async end(): Promise<void> {
    this.isEnding = true
    await Promise.all(this.lanes)
  }

  private run(name: string, once: () => Promise<unknown>): void {
    const lane = async (): Promise<void> => {
      while (!this.isEnding) {
        try {
          await once()
          this.calls += 1
        } catch (error) {
          if (this.failures.length < FAILURES_KEPT) this.failures.push(`${name}: ${String(error)}`)
        }
        if (this.calls % 4 === 0) await delay(4_000 / LANE_CALLS_PER_SECOND)
      }
    }
    this.lanes.push(lane())
  }

  private async overwrite(key: string): Promise<void> {
    const value = 'x'.repeat(100 + this.random.below(VALUE_BYTES_MAX))
    await this.client.set(key, value)
    this.keep(key, key.length + value.length)
  }

  private async remove(key: string): Promise<void> {
    await this.client.delete(key)
    this.keep(key, 0)
    await this.overwrite(key)
  }

  private keep(key: string, bytes: number): void {
    this.bytes += bytes - (this.sizes.get(key) ?? 0)
    this.sizes.set(key, bytes)
  }

  private async writeForAWhile(): Promise<void> {
    const ttl = 200 + this.random.below(2_000)
    await this.client.set(`ends/${this.calls}`, 'x'.repeat(500), { ttl })
  }

  private async watchForAWhile(): Promise<void> {
    const signal = AbortSignal.timeout(WATCHED_MS)
    try {
      for await (const { type } of this.client.watch({ prefix: 'kept/1' }, { signal })) {
        if (type === 'set') this.watched += 1
      }
    } catch (error) {
      if (!signal.aborted) throw error
    }
  }

  private async scale(http: string, children: readonly number[]): Promise<void> {
    const next = children[(this.scales + 1) % children.length]
    const { status } = await request(`${http}/scale?children=${next}`, {}, 'POST')
    if (status !== 202) throw new Error(`scale to ${next}: ${status}`)
    this.scales += 1
    for (let waited = 0; waited < SCALE_PAUSE_MS && !this.isEnding; waited += 100) await delay(100)
  }
}
