/**
 * Counts over all shards: each shard does its part of the range in steps.
 */
import type { KeyRange } from '@kv/protocol'
import type { RangePart } from './session/answers.js'

/** Shards that are asked at the same time. */
const SHARDS_AT_ONCE_MAX = 64

/** One step: counts (or clears) the first keys of `range` at `shard`. */
export type RangeStep = (shard: number, range: KeyRange) => Promise<RangePart>

export async function sumOverShards(
  shards: readonly number[],
  range: KeyRange,
  step: RangeStep,
): Promise<number> {
  let next = 0
  let total = 0
  let hasFailed = false
  async function takeShards(): Promise<void> {
    while (next < shards.length && !hasFailed) {
      const shard = shards[next]!
      next += 1
      let rest: KeyRange | undefined = range
      while (rest !== undefined && !hasFailed) {
        const { count, resume }: RangePart = await step(shard, rest)
        total += count
        rest = resume === undefined ? undefined : { from: resume, to: range.to }
      }
    }
  }
  async function takeUntilFailure(): Promise<void> {
    try {
      await takeShards()
    } catch (error) {
      hasFailed = true
      throw error
    }
  }
  const lanes = Math.min(SHARDS_AT_ONCE_MAX, shards.length)
  await Promise.all(Array.from({ length: lanes }, takeUntilFailure))
  return total
}
