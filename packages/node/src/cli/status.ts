/**
 * `kv-node status`: what a running node has and does, as a page for people or as JSON for programs.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { RunningNode } from './command-line.js'
import { statsOf, statusPageOf } from './running-node.js'

/** Rates are of the time between two answers. */
const RATE_MS = 1_000

export async function statusOf(node: RunningNode, isJson: boolean): Promise<string> {
  await statsOf(node)
  await delay(RATE_MS)
  return isJson ? `${JSON.stringify(await statsOf(node), null, 2)}\n` : statusPageOf(node)
}
