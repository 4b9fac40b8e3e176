/**
 * Prefix and bounds to one half-open range of keys, in UTF-8 byte order. Pure.
 */
import type { KeyRange } from '@kv/protocol'
import { assertKeyText, compareKeys, keyAfter, prefixEnd, shardOf } from '@kv/protocol'
import type { Range } from '../keyspace.js'

/** What prefix and bounds have in common. It may be empty (`isEmptyRange`). */
export function keyRangeOf(range: Range): KeyRange {
  if (typeof range !== 'object' || range === null) {
    // A string would name no bound, and so mean every key.
    throw new TypeError('a range is an object: { prefix } or bounds gt, gte, lt, lte')
  }
  const { prefix, gt, gte, lt, lte } = range
  let from = ''
  let to: string | undefined
  if (prefix !== undefined) {
    assertKeyText('prefix', prefix)
    from = prefix
    to = prefixEnd(prefix)
  }
  if (gte !== undefined) from = later(from, bound('gte', gte))
  if (gt !== undefined) from = later(from, keyAfter(bound('gt', gt)))
  if (lt !== undefined) to = earlier(to, bound('lt', lt))
  if (lte !== undefined) to = earlier(to, keyAfter(bound('lte', lte)))
  return { from, to }
}

export function isEmptyRange({ from, to }: KeyRange): boolean {
  return to !== undefined && compareKeys(from, to) >= 0
}

/** The part of the range behind `key`, in the direction of travel. */
export function restAfter(range: KeyRange, key: string, reverse: boolean): KeyRange {
  return reverse
    ? { from: range.from, to: earlier(range.to, key) }
    : { from: later(range.from, keyAfter(key)), to: range.to }
}

/**
 * The shards that may hold keys with the prefix: all of them, unless the prefix contains the whole
 * `{tag}` by which its keys are routed.
 */
export function shardsUnder(prefix: string | undefined, shardCount: number): number[] {
  if (prefix !== undefined) {
    const open = prefix.indexOf('{')
    if (open >= 0 && prefix.indexOf('}', open + 1) > open + 1) return [shardOf(prefix, shardCount)]
  }
  return Array.from({ length: shardCount }, (_, shard) => shard)
}

function bound(name: string, value: unknown): string {
  assertKeyText(name, value)
  return value
}

function later(left: string, right: string): string {
  return compareKeys(left, right) >= 0 ? left : right
}

function earlier(left: string | undefined, right: string): string {
  return left !== undefined && compareKeys(left, right) <= 0 ? left : right
}
