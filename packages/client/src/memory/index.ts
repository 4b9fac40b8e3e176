/// <reference lib="esnext.disposable" preserve="true" />
/**
 * @kv/client/memory: the same keyspace in this process, without a node. For tests, and for programs
 * that are to run without one. Runs in Node.js and in browsers.
 */
import { Client } from '../client.js'
import { idleClock, systemClock } from '../clock.js'
import type { CreateClient } from '../kv-client.js'
import { assertOptions } from '../known-options.js'
import { mistakeIn } from '../mistakes.js'
import { settingsOf } from '../settings.js'
import type { MemoryClock } from './memory-node.js'
import { MemoryNode as Node } from './memory-node.js'

export interface MemoryOptions {
  /**
   * Decides when entries expire: an entry with a ttl ends in the very millisecond in which `now()`
   * says so. Watches hear of it with the next call. Default: the machine's clock.
   */
  readonly clock?: MemoryClock | undefined
  /** Milliseconds until a call fails as `TIMEOUT`, unless it says otherwise; default 10,000. */
  readonly timeout?: number | undefined
}

/** A keyspace in memory, for any number of clients. */
export interface MemoryNode {
  readonly createClient: CreateClient<Omit<MemoryOptions, 'clock'>>
}

const KNOWN = { node: new Set(['clock']), client: new Set(['timeout']) }
const KNOWN_TOGETHER = new Set([...KNOWN.node, ...KNOWN.client])

/** Makes an empty keyspace in memory. Its clients share what it holds, and nothing else does. */
export function createMemoryNode(options: Pick<MemoryOptions, 'clock'> = {}): MemoryNode {
  check('createMemoryNode', options, KNOWN.node)
  const node = nodeOf(options)
  return {
    createClient: (clientOptions: Omit<MemoryOptions, 'clock'> = {}) => {
      check('createClient', clientOptions, KNOWN.client)
      return clientOf(node, clientOptions.timeout)
    },
  }
}

/**
 * Makes an empty keyspace in memory, and a client of it: every call that a client of a node has, by
 * the same rules. It holds no connection and does not keep the process alive.
 */
export const createMemoryClient: CreateClient<MemoryOptions> = (options: MemoryOptions = {}) => {
  check('createMemoryClient', options, KNOWN_TOGETHER)
  return clientOf(nodeOf(options), options.timeout)
}

function check(call: string, options: MemoryOptions, known: ReadonlySet<string>): void {
  try {
    assertOptions(options, known)
    const { clock } = options
    if (clock !== undefined && typeof (clock as { now?: unknown } | null)?.now !== 'function') {
      throw new TypeError('clock is an object with now(), which gives epoch milliseconds')
    }
  } catch (error) {
    throw mistakeIn(call, undefined, error)
  }
}

function nodeOf({ clock }: MemoryOptions): Node {
  if (clock !== undefined) return new Node(clock, undefined)
  return new Node(machineClock, (wake, ms) => {
    const timer = systemClock.setTimer(wake, ms)
    return () => {
      systemClock.clearTimer(timer)
    }
  })
}

function clientOf(node: Node, timeout: number | undefined): never {
  const settings = settingsOf({ timeout }, { url: 'kv://memory', token: undefined })
  const { openTransport } = node
  const random = Math.random
  return new Client(settings, { clock: idleClock, random, openTransport }) as never
}

/** Looked up with each call, so that a test may put its own in its place. */
const machineClock: MemoryClock = { now: () => Date.now() }

export { KvError } from '@kv/protocol'
export type { ErrorCode, Outcome, Topology } from '@kv/protocol'
export type { ClientEvents, Listener } from '../events.js'
export type * from '../keyspace.js'
export type * from '../kv-client.js'
export type * from '../namespace.js'
export type * from '../schema.js'
export type { MemoryClock } from './memory-node.js'
