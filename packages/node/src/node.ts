/// <reference lib="esnext.disposable" preserve="true" />
/**
 * `startNode`: a kv node as a value. Everything else in this package is behind it.
 */
import { EventEmitter } from 'node:events'
import { forkChild } from './coordinator/child-process.js'
import type { ChildExit } from './coordinator/child-process.js'
import { Coordinator } from './coordinator/coordinator.js'
import type { Failover, Move } from './coordinator/failover-watch.js'
import type { NodeTopology } from './coordinator/operator-topology.js'
import type { NodeStats } from './coordinator/statistics.js'
import type { NodeOptions } from './config.js'
import { resolveOptions } from './config.js'
import { createLogger } from './logger.js'

/** What a node tells while it runs. */
export interface NodeEvents {
  /** Who serves what has changed. */
  topology: NodeTopology
  /** The process of a child has ended; it is replaced unless the node closes. */
  'child-exit': ChildExit & { readonly child: number; readonly pid: number }
  /** A shard that had lost its primary is served again. */
  failover: Failover
  /** A shard is served by another child, though nothing was wrong: see `scale`. */
  move: Move
}

export interface KvNode extends AsyncDisposable {
  /** For clients: `kv://127.0.0.1:7400`. */
  readonly url: string
  readonly port: number
  topology(): NodeTopology
  /** Asks every child. Rates are since the last time somebody asked. */
  stats(): Promise<NodeStats>
  /**
   * Adds or removes children while the node serves, and resolves when nothing is left to move. It
   * outlives restarts; see the option `children`. A later call with another number wins: the former
   * one rejects with `CONFLICT`. A number that the copies and shards don't allow is a `TypeError`.
   * Rejects with `UNAVAILABLE` if new children keep ending, with `CLOSED` if the node is closed; both
   * mean that it goes on, now or at the next start.
   */
  scale(children: number): Promise<void>
  /** Returns the function that takes the listener off. */
  on<Name extends keyof NodeEvents>(
    event: Name,
    listener: (event: NodeEvents[Name]) => void,
  ): () => void
  /** Drains, flushes, ends the children. Calling it again waits for the same end. */
  close(): Promise<void>
}

/**
 * Starts a node and resolves when every shard can be used.
 *
 * A wrong option is a `TypeError`. A port or directory that can't be had, or children that don't
 * come up, reject with `UNAVAILABLE`; then nothing is left running.
 */
export async function startNode(options: NodeOptions): Promise<KvNode> {
  const settings = resolveOptions(options)
  const events = new EventEmitter()
  // In a turn of its own: what a listener throws is its owner's affair, not the coordinator's.
  const emit = <Name extends keyof NodeEvents>(event: Name, value: NodeEvents[Name]): void => {
    setImmediate(() => events.emit(event, value))
  }
  const coordinator = await Coordinator.start(
    { ...settings, log: createLogger(settings.logger), fork: forkChild },
    {
      onTopology: (topology) => emit('topology', topology),
      onChildExit: (exit) => emit('child-exit', exit),
      onFailover: (failover) => emit('failover', failover),
      onMove: (move) => emit('move', move),
    },
  )
  let closing: Promise<void> | undefined
  const close = (): Promise<void> => (closing ??= coordinator.close())
  return {
    url: urlOf(settings.host, coordinator.port),
    port: coordinator.port,
    topology: () => coordinator.topology(),
    stats: () => coordinator.stats(),
    scale: (children) => coordinator.scale(children),
    on: (event, listener) => {
      events.on(event, listener)
      return () => {
        events.off(event, listener)
      }
    },
    close,
    [Symbol.asyncDispose]: close,
  }
}

/** Where a client on this machine reaches the node: nobody can connect to «any address». */
export function urlOf(host: string, port: number): string {
  const reachable = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host
  return `kv://${reachable.includes(':') ? `[${reachable}]` : reachable}:${port}`
}
