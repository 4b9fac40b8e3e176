/**
 * What is measured: a core table, from which one thing at a time is changed. A cell is one load of one
 * store; whose cells there are is chosen, so that the whole stays within an hour's three quarters.
 */
import type { ContenderName } from './contender-names.js'
import type { Load, LoadKind } from './loads/load.js'
import { CORE } from './loads/load.js'

export const CORE_CELLS_MAX = 60
export const ALL_MINUTES_MAX = 45
export const SHORT_MINUTES_MAX = 3

export const PART_NAMES = [
  'core',
  'inflight',
  'values',
  'clients',
  'keys',
  'memory',
  'restart',
  'ycsb',
  'paths',
  'copies',
  'durability',
] as const

/** `short` is what `npm run bench` does without arguments. */
export type PartName = (typeof PART_NAMES)[number] | 'short'

export interface PlannedLoad {
  readonly load: Load
  readonly contenders: readonly ContenderName[]
}

export interface Part {
  readonly name: PartName
  readonly loads: readonly PlannedLoad[]
}

export interface Timing {
  readonly rounds: number
  readonly readSeconds: number
  /** Long enough that all rounds together fill and apply the overlay of a child several times. */
  readonly writeSeconds: number
  /**
   * Before the first cell of an operation. Compilers and caches take five seconds and more: after half a
   * second, kv was seen at half of its rate.
   */
  readonly warmUpSeconds: number
  /** Before each cell, since others had their turn in between. */
  readonly beforeSeconds: number
  /** After a cell that writes: what a store does later must not fall into the turn of the next. */
  readonly restSeconds: number
}

export const FULL_TIMING: Timing = {
  rounds: 5,
  readSeconds: 1,
  writeSeconds: 2,
  warmUpSeconds: 5,
  beforeSeconds: 0.3,
  restSeconds: 0.5,
}

export const SHORT_TIMING: Timing = {
  ...FULL_TIMING,
  rounds: 3,
  readSeconds: 0.8,
  writeSeconds: 1.5,
  restSeconds: 0.3,
}

export function loadOf(kind: LoadKind, inFlight: number, other: Partial<Load> = {}): Load {
  return { ...CORE, kind, inFlight, ...other }
}

const KV_AND_REDIS: readonly ContenderName[] = ['kv-direct', 'redis-always']
const SERVERS: readonly ContenderName[] = [...KV_AND_REDIS, 'kv', 'etcd', 'nats', 'deno-kv']

function planned(contenders: readonly ContenderName[], ...loads: Load[]): PlannedLoad[] {
  return loads.map((load) => ({ load, contenders }))
}

const core: Part = {
  name: 'core',
  loads: [
    ...planned(SERVERS, loadOf('get', 1)),
    ...planned([...SERVERS, 'node-redis', 'lmdb', 'map'], loadOf('get', 256)),
    ...planned(SERVERS, loadOf('set', 1)),
    ...planned([...SERVERS, 'node-redis', 'raw-log'], loadOf('set', 256)),
    ...planned(KV_AND_REDIS, loadOf('increment', 1)),
    ...planned([...KV_AND_REDIS, 'deno-kv'], loadOf('increment', 256)),
    ...planned(KV_AND_REDIS, loadOf('setIf', 1)),
    ...planned([...KV_AND_REDIS, 'etcd', 'nats', 'deno-kv'], loadOf('setIf', 256)),
    ...planned(KV_AND_REDIS, loadOf('getMany', 1), loadOf('getMany', 256)),
    ...planned(KV_AND_REDIS, loadOf('setMany', 1), loadOf('setMany', 256)),
    ...planned(KV_AND_REDIS, loadOf('list', 1)),
    ...planned([...KV_AND_REDIS, 'etcd', 'deno-kv'], loadOf('list', 256)),
    ...planned([...KV_AND_REDIS, 'etcd', 'nats'], loadOf('watch', 1)),
  ],
}

const inflight: Part = {
  name: 'inflight',
  loads: [
    ...planned(KV_AND_REDIS, loadOf('get', 64), loadOf('get', 2_000)),
    ...planned(KV_AND_REDIS, loadOf('set', 64)),
    ...planned([...KV_AND_REDIS, 'raw-log'], loadOf('set', 2_000)),
  ],
}

/** Of the largest values fewer keys, and fewer of them at once: a node takes 8 MiB of calls at a time. */
const LARGE: Partial<Load> = { valueBytes: 65_536, keys: 10_000 }

const values: Part = {
  name: 'values',
  loads: [
    ...planned(KV_AND_REDIS, loadOf('get', 256, { valueBytes: 16 })),
    ...planned(KV_AND_REDIS, loadOf('set', 256, { valueBytes: 16 })),
    ...planned(KV_AND_REDIS, loadOf('get', 256, { valueBytes: 1_024 })),
    ...planned(KV_AND_REDIS, loadOf('set', 256, { valueBytes: 1_024 })),
    ...planned(KV_AND_REDIS, loadOf('get', 64, LARGE), loadOf('set', 64, LARGE)),
  ],
}

const clients: Part = {
  name: 'clients',
  loads: (['get', 'set'] as const).flatMap((kind) =>
    planned([...KV_AND_REDIS, 'kv'], loadOf(kind, 256), loadOf(kind, 256, { clients: 4 })),
  ),
}

/** A store grows from one to the next, and is looked at there. */
export const STAGES: readonly number[] = [100_000, 1_000_000, 10_000_000]
/** In memory and start-up the small stage says nothing. */
export const STAGES_OF_FACTS: readonly number[] = STAGES.slice(1)
export const RESTARTS = 3
export const GROWING: readonly ContenderName[] = KV_AND_REDIS

const keys: Part = {
  name: 'keys',
  loads: STAGES.flatMap((count) =>
    planned(GROWING, loadOf('get', 256, { keys: count }), loadOf('set', 256, { keys: count })),
  ),
}

const memory: Part = { name: 'memory', loads: [] }
const restart: Part = { name: 'restart', loads: [] }

const ZIPFIAN: Partial<Load> = { draw: 'zipfian' }

const ycsb: Part = {
  name: 'ycsb',
  loads: [
    ...(['ycsb-a', 'ycsb-b', 'ycsb-c'] as const).flatMap((kind) =>
      planned(KV_AND_REDIS, loadOf(kind, 256, ZIPFIAN)),
    ),
    // A node refuses scans that wait for writes of their client when they hold more than 16 MiB.
    ...planned([...KV_AND_REDIS, 'deno-kv'], loadOf('ycsb-e', 64, ZIPFIAN)),
  ],
}

const paths: Part = {
  name: 'paths',
  loads: (['get', 'set'] as const).flatMap((kind) =>
    planned(['kv-direct', 'kv'], loadOf(kind, 1), loadOf(kind, 64), loadOf(kind, 256)),
  ),
}

const copies: Part = {
  name: 'copies',
  loads: planned(
    ['kv-copies', 'redis-replica'],
    loadOf('get', 256),
    loadOf('set', 1),
    loadOf('set', 64),
    loadOf('set', 256),
  ),
}

const durability: Part = {
  name: 'durability',
  loads: planned(
    ['kv-direct', 'kv-everysec', 'redis-always', 'redis-everysec', 'redis-none'],
    loadOf('set', 1),
    loadOf('set', 256),
  ),
}

export const PARTS: readonly Part[] = [
  core,
  inflight,
  values,
  clients,
  keys,
  memory,
  restart,
  ycsb,
  paths,
  copies,
  durability,
]

export const SHORT: Part = {
  name: 'short',
  loads: (['get', 'set'] as const).flatMap((kind) =>
    planned(
      ['kv-direct', 'kv', 'redis-always', 'redis-none'],
      loadOf(kind, 1),
      loadOf(kind, 64),
      loadOf(kind, 256),
    ),
  ),
}

export function cellCountOf({ loads }: Part): number {
  return loads.reduce((count, { contenders }) => count + contenders.length, 0)
}

/** In the order in which they are first needed. */
export function contendersOf(loads: readonly PlannedLoad[]): ContenderName[] {
  return [...new Set(loads.flatMap(({ contenders }) => contenders))]
}
