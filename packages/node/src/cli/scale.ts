/**
 * `kv-node scale`: gives a running node another number of children, and says how far it is.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { progressLine } from '../coordinator/status-page.js'
import type { RunningNode } from './command-line.js'
import { askToScale, statsOf } from './running-node.js'

const LOOK_MS = 250

/** Resolves when nothing is left to move; rejects if somebody scales it to something else meanwhile. */
export async function scaleNode(
  node: RunningNode,
  children: number,
  say: (line: string) => void,
): Promise<void> {
  await askToScale(node, children)
  for (let last = ''; ;) {
    const stats = await statsOf(node)
    const line = progressLine(stats)
    if (stats.scaling.children !== children) {
      throw new Error(`the node was told otherwise meanwhile: ${line}`)
    }
    if (line !== last) say(line)
    if (stats.scaling.isSettled) return
    last = line
    await delay(LOOK_MS)
  }
}
