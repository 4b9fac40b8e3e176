/**
 * The topology for clients: a child is primary once it has answered `opened` and as long as it
 * lives. The published one itself if nothing differs. The epoch of a shard without a primary stays
 * that of its last one. Backups in sync are named for reads that may be behind.
 */
import { NO_CHILD } from '@kv/protocol'
import type { RoutedChild, Topology } from '@kv/protocol'
import type { NodeState } from './node-state.js'
import type { ShardState } from './shard-state.js'
import { primaryOf } from './shard-state.js'
import { isWarm } from './view.js'

export function routingOf(state: NodeState): Topology {
  const { published } = state
  const children = state.children
    .filter((child) => child.phase === 'ready')
    .map(({ id, port }) => ({ id, port }))
  const ready = new Set(children.map(({ id }) => id))
  const primaries = state.shards.map((shard) => servingChild(shard, ready))
  const epochs = state.shards.map((shard) =>
    primaries[shard.id] === NO_CHILD ? published.epochs[shard.id]! : shard.epoch,
  )
  const backups = backupsOf(state, ready)
  const isSame =
    children.length === published.children.length &&
    children.every((child, index) => isSameChild(child, published.children[index]!)) &&
    primaries.every((child, shard) => child === published.primaries[shard]) &&
    epochs.every((epoch, shard) => epoch === published.epochs[shard]) &&
    backups.length === published.backups.length &&
    backups.every((ids, shard) => isEqual(ids, published.backups[shard]!))
  if (isSame) return published
  return {
    version: published.version + 1,
    shardCount: published.shardCount,
    children,
    primaries,
    epochs,
    backups,
  }
}

function isSameChild(left: RoutedChild, right: RoutedChild): boolean {
  return left.id === right.id && left.port === right.port
}

function backupsOf(state: NodeState, ready: ReadonlySet<number>): readonly (readonly number[])[] {
  const backups = state.shards.map((shard) =>
    shard.copies.filter((copy) => isWarm(shard, copy, ready)).map(({ child }) => child),
  )
  return backups.some((ids) => ids.length > 0) ? backups : []
}

function isEqual(left: readonly number[], right: readonly number[]): boolean {
  return left.length === right.length && left.every((id, index) => id === right[index])
}

function servingChild(shard: ShardState, ready: ReadonlySet<number>): number {
  const { role, phase, child } = primaryOf(shard)
  return role === 'primary' && phase === 'open' && ready.has(child) ? child : NO_CHILD
}
