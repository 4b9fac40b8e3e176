/**
 * Who serves what in a node of this process, and keys that lead to a certain shard or child.
 */
import type { KvNode } from '@kv/node'
import { shardOf } from '@kv/protocol'
import { until } from './until.js'

/** Keys of one shard, as many as wanted. */
export function keysOfShard(
  shard: number,
  shardCount: number,
  count: number,
  prefix: string = 'key/',
): string[] {
  const keys: string[] = []
  for (let index = 0; keys.length < count; index += 1) {
    const key = `${prefix}${index}`
    if (shardOf(key, shardCount) === shard) keys.push(key)
  }
  return keys
}

export function shardsOfChild(node: KvNode, child: number): number[] {
  return node
    .topology()
    .shards.filter(({ primary }) => primary === child)
    .map(({ id }) => id)
}

export function pidOf(node: KvNode, child: number): number {
  return node.topology().children.find(({ id }) => id === child)?.pid ?? 0
}

/** Whether every shard is served and no child has two more than another. */
export function isBalanced(node: KvNode): boolean {
  const { shards, children } = node.topology()
  const counts = children.map(({ id }) => shards.filter(({ primary }) => primary === id).length)
  const isServed = shards.every(({ primary }) => primary !== 0)
  const isReady = children.every(({ state }) => state === 'ready')
  return isServed && isReady && Math.max(...counts) - Math.min(...counts) <= 1
}

export async function untilBalanced(node: KvNode): Promise<void> {
  await until('every shard is served and the balance is back', () => isBalanced(node))
}
