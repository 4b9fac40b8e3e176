/**
 * The one thing `kv-node` prints to standard output: what is running where.
 */
import type { KvNode } from '../node.js'

export function banner(node: KvNode, version: string, dataDir: string): string {
  const { children, shards } = node.topology()
  return [
    `kv-node ${version}`,
    `  url       ${node.url}`,
    `  data      ${dataDir}`,
    `  children  ${children.length}`,
    `  shards    ${shards.length}`,
    '',
  ].join('\n')
}
