/**
 * A node that runs, as a program beside it reaches it: over HTTP, on the port of its clients.
 */
import type { NodeStats } from '../coordinator/statistics.js'
import { urlOf } from '../node.js'
import type { RunningNode } from './command-line.js'

const REQUEST_TIMEOUT_MS = 10_000

/** Rejects with what to do about it. */
export async function statsOf(node: RunningNode): Promise<NodeStats> {
  return (await (await request(node, 'GET', '/stats')).json()) as NodeStats
}

/** The same as a page for people. */
export async function statusPageOf(node: RunningNode): Promise<string> {
  return (await request(node, 'GET', '/status')).text()
}

/** Resolves when the number is on the node's disk. */
export async function askToScale(node: RunningNode, children: number): Promise<void> {
  await request(node, 'POST', `/scale?children=${children}`)
}

async function request(node: RunningNode, method: string, path: string): Promise<Response> {
  const url = `${urlOf(node.host, node.port).replace('kv:', 'http:')}${path}`
  const headers: Record<string, string> =
    node.token === undefined ? {} : { authorization: `Bearer ${node.token}` }
  const response = await fetch(url, {
    method,
    headers,
    signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
  }).catch((error: unknown) => {
    const why = ((error as Error).cause as Error | undefined)?.message ?? (error as Error).message
    const advice = 'is it running, and are --host and --port right?'
    throw new Error(`the node at ${node.host}:${node.port} does not answer (${why}): ${advice}`)
  })
  if (response.ok) return response
  const { error } = (await response.json().catch(() => ({}))) as { readonly error?: string }
  const why = error ?? `it answered with ${response.status}`
  // What the caller asked for is wrong, not the node.
  throw response.status === 400 ? new TypeError(why) : new Error(why)
}
