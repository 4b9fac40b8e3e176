/**
 * What a node is asked as a whole: how it does, and to have another number of children. Over HTTP, on
 * the port of its clients.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { webSocketUrls } from '../address.js'
import type { Target } from './command-line.js'
import type { Output } from './data-commands.js'
import { jsonOf } from './value-text.js'

/** Rates are of the time between two answers. */
const RATE_MS = 1_000

const LOOK_MS = 250

/** What `kv` reads of the statistics of a node. */
interface Progress {
  readonly scaling: {
    readonly children: number
    readonly shardsToMove: number
    readonly isSettled: boolean
  }
}

export async function status(target: Target, out: Output): Promise<boolean> {
  await request(target, 'GET', '/stats')
  await delay(RATE_MS)
  if (out.isJson) await out.line(jsonOf(await (await request(target, 'GET', '/stats')).json()))
  else await out.line((await (await request(target, 'GET', '/status')).text()).trimEnd())
  return true
}

/** Resolves when nothing is left to move, with false if somebody scales the node otherwise meanwhile. */
export async function scale(target: Target, children: number, out: Output): Promise<boolean> {
  await request(target, 'POST', `/scale?children=${children}`)
  for (let last = ''; ; await delay(LOOK_MS)) {
    const { scaling } = (await (await request(target, 'GET', '/stats')).json()) as Progress
    if (scaling.children !== children) {
      out.complain(`the node was told to have ${scaling.children} children meanwhile`)
      return false
    }
    const line = out.isJson ? jsonOf(scaling) : inWords(scaling)
    if (line !== last) await out.line(line)
    if (scaling.isSettled) return true
    last = line
  }
}

function inWords({ children, shardsToMove, isSettled }: Progress['scaling']): string {
  if (isSettled) return `${children} children, nothing to move`
  return `on the way to ${children} children, ${shardsToMove} shards to move`
}

/** Of several addresses the first is asked. Rejects with what to do about it. */
async function request({ url, token, timeoutMs }: Target, method: string, path: string) {
  const [address = ''] = webSocketUrls(url)
  const asked = new URL(path, address.replace(/^ws/, 'http'))
  const headers: Record<string, string> =
    token === undefined ? {} : { authorization: `Bearer ${token}` }
  const signal = AbortSignal.timeout(Math.ceil(timeoutMs))
  const response = await fetch(asked, { method, headers, signal }).catch((error: unknown) => {
    const { cause, message } = error as Error
    const why = (cause as Error | undefined)?.message ?? message
    throw new Error(`the node at ${asked.host} does not answer (${why}): is it running?`, {
      cause: error,
    })
  })
  if (response.ok) return response
  const { error = `it answered with ${response.status}` } = (await response
    .json()
    .catch(() => ({}))) as { readonly error?: string }
  throw response.status === 400 ? new TypeError(error) : new Error(error)
}
