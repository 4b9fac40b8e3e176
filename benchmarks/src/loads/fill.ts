/** Writes every key once, so that every get of a run hits. */
import type { PeerClient } from '../peers/peer.js'
import { keyAt } from './keys.js'

const BATCH_ENTRIES_MAX = 100
/** Some stores take no call that is much larger. */
const BATCH_BYTES_MAX = 65_536
const BATCHES_AT_ONCE = 16
const SETS_AT_ONCE = 512
const BYTES_AT_ONCE_MAX = 4_194_304

export interface FillOptions {
  /** The number of the first key, and of the first that is not filled. */
  readonly from: number
  readonly to: number
  readonly valueBytes: number
}

export async function fill(client: PeerClient, options: FillOptions): Promise<void> {
  const { from, to, valueBytes } = options
  const value = 'x'.repeat(valueBytes)
  const perBatch = Math.min(BATCH_ENTRIES_MAX, Math.floor(BATCH_BYTES_MAX / (valueBytes + 20)))
  const isBatched = client.setMany !== undefined && perBatch > 1
  let next = from
  const batch = async (): Promise<void> => {
    const start = next
    next = Math.min(start + perBatch, to)
    const entries = Array.from(
      { length: next - start },
      (_, place) => [keyAt(start + place), value] as const,
    )
    await client.setMany?.(entries)
  }
  const one = async (): Promise<void> => {
    next += 1
    await client.set(keyAt(next - 1), value)
  }
  const atOnce = isBatched
    ? BATCHES_AT_ONCE
    : Math.min(SETS_AT_ONCE, Math.max(1, Math.floor(BYTES_AT_ONCE_MAX / valueBytes)))
  const lane = async (): Promise<void> => {
    while (next < to) await (isBatched ? batch() : one())
  }
  await Promise.all(Array.from({ length: atOnce }, lane))
}
