/**
 * How many children a node is to have: what was asked for at the start, or what it was scaled to
 * since. Pure.
 */
import { CHILDREN_MAX } from '@kv/protocol'
import type { StoredScale } from './stored-records.js'

/** What a start knows. */
export interface ChildCountRequest {
  /** The option `children`, if it was given. */
  readonly asked: number | undefined
  /** For a node that was not told. */
  readonly usual: number
  readonly copies: number
}

/**
 * A node that was scaled keeps that over restarts, as long as it is started as it was then. With another
 * `children` than then, that is what counts.
 */
export function childCountAtStart(
  { asked, usual, copies }: ChildCountRequest,
  scaled: StoredScale | undefined,
): number {
  if (scaled !== undefined && scaled.asked === (asked ?? 0)) {
    return Math.max(scaled.children, copies)
  }
  return asked ?? Math.max(usual, copies)
}

/** Throws a `TypeError` if a running node can't have so many. */
export function assertScale(
  children: unknown,
  { copies, shards }: { readonly copies: number; readonly shards: number },
): asserts children is number {
  const most = Math.min(shards, CHILDREN_MAX)
  const isWhole = typeof children === 'number' && Number.isSafeInteger(children)
  if (isWhole && children >= copies && children <= most) return
  const why = `${copies} ${copies === 1 ? 'copy' : 'copies'} of each of ${shards} shards`
  throw new TypeError(
    `children is a whole number from ${copies} to ${most} (${why}), not ${String(children)}`,
  )
}
