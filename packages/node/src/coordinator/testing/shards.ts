/** Shards in any state, for tests of what decides on them. */
import type { ChildState } from '../child-state.js'
import { absentChild } from '../child-state.js'
import type { CopyState } from '../copy-state.js'
import { closedCopy } from '../copy-state.js'
import type { ShardState } from '../shard-state.js'
import { newShard } from '../shard-state.js'

type Given = Partial<CopyState> & { readonly epoch?: number }

/** A shard of one copy. */
export function loneShard(id: number, { epoch = 0, ...copy }: Given = {}): ShardState {
  return newShard(id, { epoch, copies: [closedCopy(0, { role: 'primary', ...copy })] })
}

/** Open in that child. With one copy each hosting has begun an epoch. */
export function openShard(id: number, child: number, epoch = 1): ShardState {
  return loneShard(id, { phase: 'open', child, epoch, hosting: epoch, isCreated: true })
}

/** A shard of several copies; the first is primary unless said otherwise. */
export function shardOf(
  id: number,
  copies: readonly Partial<CopyState>[],
  known: Partial<ShardState> = {},
): ShardState {
  const { primary = 0, epoch = 1 } = known
  const states = copies.map((copy, number) =>
    closedCopy(number, {
      role: number === primary ? 'primary' : 'backup',
      follows: number === primary ? 0 : epoch,
      hosting: number + 1,
      isCreated: true,
      ...copy,
    }),
  )
  return newShard(id, { epoch, primary, toldVersion: 1, ...known, copies: states })
}

export function readyChild(id: number): ChildState {
  return { ...absentChild(id), phase: 'ready', isExpected: false, readyAtMs: 1 }
}
