/**
 * What is to be done next: a pure function of the state, asked again after every change.
 *
 * Level-triggered: start-up, failover, retries and moves are one code. The planner compares what
 * is with what should be and takes the steps that are safe now:
 *
 * - fork: a child that should live and has no process, once its pause is over.
 * - open: a closed shard on the child that placement gives it, in the next epoch.
 * - release: an open shard that placement gives to another child, a few at a time and only when
 *   nothing else is on its way. Once released it is a closed shard like any other.
 * - publish: clients are told who serves what as soon as that has changed.
 *
 * P5: only a closed shard is opened; see `shard-state.ts` for what makes it closed.
 */
import { NO_CHILD } from '@kv/protocol'
import type { Topology } from '@kv/protocol'
import type { NodeState } from './node-state.js'
import { place } from './placement.js'

/** Shards that may be between two children at a time when nothing forces them. */
export const MOVES_AT_ONCE_MAX = 2

export type Step =
  | { readonly type: 'fork'; readonly child: number }
  | {
      readonly type: 'open'
      readonly shard: number
      readonly child: number
      readonly epoch: number
    }
  | {
      readonly type: 'release'
      readonly shard: number
      readonly child: number
      readonly epoch: number
    }
  | { readonly type: 'publish'; readonly topology: Topology }

export interface Plan {
  readonly steps: readonly Step[]
  /** When to ask again though nothing has changed; `undefined` if no pause is running. */
  readonly wakeAtMs: number | undefined
}

/** `nowMs` is monotonic. Steps are independent of each other and may be carried out in any order. */
export function plan(state: NodeState, nowMs: number): Plan {
  const placed = placeShards(state)
  return {
    steps: [
      ...forks(state, nowMs),
      ...opens(state, placed, nowMs),
      ...releases(state, placed),
      ...publications(state),
    ],
    wakeAtMs: nextPauseEnd(state, nowMs),
  }
}

/**
 * Shard → child, over the children that are ready and those whose first start is under way:
 * waiting for these saves moving everything again. A child that ended is not waited for.
 */
function placeShards(state: NodeState): ReadonlyMap<number, number> {
  const hosts = state.children.filter((child) => child.phase === 'ready' || child.isExpected)
  return place(
    state.shards.filter((shard) => shard.phase !== 'damaged'),
    hosts.map((child) => child.id),
  )
}

function forks(state: NodeState, nowMs: number): Step[] {
  return state.children
    .filter((child) => child.phase === 'absent' && child.forkAtMs <= nowMs)
    .map((child) => ({ type: 'fork', child: child.id }))
}

function opens(state: NodeState, placed: ReadonlyMap<number, number>, nowMs: number): Step[] {
  const ready = readyChildren(state)
  const steps: Step[] = []
  for (const shard of state.shards) {
    const child = placed.get(shard.id)
    if (shard.phase !== 'closed' || shard.retryAtMs > nowMs) continue
    if (child === undefined || !ready.has(child)) continue
    steps.push({ type: 'open', shard: shard.id, child, epoch: shard.epoch + 1 })
  }
  return steps
}

function releases(state: NodeState, placed: ReadonlyMap<number, number>): Step[] {
  const ready = readyChildren(state)
  if (state.shards.some((shard) => shard.phase === 'closed' && shard.failures === 0)) return []
  const underWay = state.shards.filter(
    (shard) => shard.phase === 'opening' || shard.phase === 'releasing',
  ).length
  return state.shards
    .filter((shard) => {
      const target = placed.get(shard.id)
      return (
        shard.phase === 'open' &&
        target !== shard.child &&
        target !== undefined &&
        ready.has(target) &&
        ready.has(shard.child)
      )
    })
    .slice(0, Math.max(0, MOVES_AT_ONCE_MAX - underWay))
    .map((shard) => ({
      type: 'release',
      shard: shard.id,
      child: shard.child,
      epoch: shard.epoch,
    }))
}

function publications(state: NodeState): Step[] {
  const topology = routingOf(state)
  return topology === state.published ? [] : [{ type: 'publish', topology }]
}

/**
 * The topology for clients: a child is primary once it has answered `opened` and as long as it
 * lives. The published one itself if nothing differs. The epoch of a shard without a primary
 * stays that of its last one.
 */
function routingOf(state: NodeState): Topology {
  const { published } = state
  const ready = readyChildren(state)
  const children = [...ready].map((id) => ({ id, port: 0 }))
  const serves = state.shards.map((shard) => shard.phase === 'open' && ready.has(shard.child))
  const primaries = state.shards.map((shard) => (serves[shard.id] ? shard.child : NO_CHILD))
  const epochs = state.shards.map((shard) =>
    serves[shard.id] ? shard.epoch : published.epochs[shard.id]!,
  )
  const isSame =
    children.length === published.children.length &&
    children.every((child, index) => child.id === published.children[index]!.id) &&
    primaries.every((child, shard) => child === published.primaries[shard]) &&
    epochs.every((epoch, shard) => epoch === published.epochs[shard])
  if (isSame) return published
  return {
    version: published.version + 1,
    shardCount: published.shardCount,
    children,
    primaries,
    epochs,
    backups: [],
  }
}

function readyChildren(state: NodeState): ReadonlySet<number> {
  const ready = state.children.filter((child) => child.phase === 'ready')
  return new Set(ready.map((child) => child.id))
}

function nextPauseEnd(state: NodeState, nowMs: number): number | undefined {
  const ends = [
    ...state.children.filter((child) => child.phase === 'absent').map((child) => child.forkAtMs),
    ...state.shards.filter((shard) => shard.phase === 'closed').map((shard) => shard.retryAtMs),
  ].filter((end) => end > nowMs)
  return ends.length === 0 ? undefined : Math.min(...ends)
}
