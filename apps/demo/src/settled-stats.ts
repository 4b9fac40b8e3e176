/**
 * What the node holds, once it has settled: a shard counts a write that is durable but not yet in
 * its tree as a key of its own, so keys are exact when the last write is applied, which takes a
 * second or so.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { KvNode, NodeStats } from '@kv/node'

const ASK_AGAIN_MS = 100
/** A busy machine gets figures that are a little high. */
const PATIENCE_MS = 5_000

export async function settledStats(
  node: Pick<KvNode, 'stats'>,
  signal: AbortSignal,
): Promise<NodeStats> {
  const startMs = performance.now()
  for (;;) {
    const stats = await node.stats()
    if (isSettled(stats) || performance.now() - startMs > PATIENCE_MS) return stats
    await delay(ASK_AGAIN_MS, undefined, { signal })
  }
}

function isSettled({ shards }: NodeStats): boolean {
  return shards.every(({ revision, appliedRevision }) => revision === appliedRevision)
}
