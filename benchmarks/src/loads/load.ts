/** What is asked of a store: which calls, on which keys, how many at once. */
import type { Operation } from '../peers/peer.js'

/**
 * The core workloads of YCSB (Cooper et al., "Benchmarking cloud serving systems with YCSB", 2010) that
 * tell most about a key-value store. As there, keys are zipfian and a scan has 1 to 100 entries. Unlike
 * there, records have one value, and a scan starts at a round key, since not every store's list can start
 * anywhere.
 */
export type Mix = 'ycsb-a' | 'ycsb-b' | 'ycsb-c' | 'ycsb-e'

/** `watch`: a set, until a watcher of its key has heard of it and it is acknowledged. */
export type LoadKind = Operation | 'watch' | Mix

export interface Load {
  readonly kind: LoadKind
  readonly inFlight: number
  /** All in one process; calls are dealt out to them. */
  readonly clients: number
  readonly keys: number
  readonly valueBytes: number
  readonly draw: 'uniform' | 'zipfian'
}

/** Of one run of a load. */
export interface Measurement {
  readonly calls: number
  readonly callsPerSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
  /** CPU time of the process: the client, and the loop, which costs every store the same. */
  readonly clientMicrosPerCall: number
}

/** How many entries a call of `getMany`, `setMany` and `list` is about. */
export const MANY = 100

/** The middle of the plan, from which one thing at a time is changed. */
export const CORE: Omit<Load, 'kind' | 'inFlight'> = {
  clients: 1,
  keys: 100_000,
  valueBytes: 100,
  draw: 'uniform',
}

export interface Shares {
  readonly read: number
  /** The rest, if there is one. */
  readonly write: 'update' | 'insert'
  readonly readsScan: boolean
}

export const MIXES: Record<Mix, Shares> = {
  'ycsb-a': { read: 0.5, write: 'update', readsScan: false },
  'ycsb-b': { read: 0.95, write: 'update', readsScan: false },
  'ycsb-c': { read: 1, write: 'update', readsScan: false },
  'ycsb-e': { read: 0.95, write: 'insert', readsScan: true },
}

const WRITING: ReadonlySet<LoadKind> = new Set([
  'set',
  'increment',
  'setIf',
  'setMany',
  'watch',
  'ycsb-a',
  'ycsb-b',
  'ycsb-e',
])

/** It leaves work behind that a store does later. */
export function writes({ kind }: Load): boolean {
  return WRITING.has(kind)
}

const IN_WORDS: Record<LoadKind, string> = {
  get: 'get',
  set: 'set',
  increment: 'increment',
  setIf: 'conditional set',
  getMany: `getMany of ${MANY}`,
  setMany: `setMany of ${MANY}`,
  list: `list of ${MANY} by prefix`,
  watch: 'set until a watcher sees it',
  'ycsb-a': 'YCSB A',
  'ycsb-b': 'YCSB B',
  'ycsb-c': 'YCSB C',
  'ycsb-e': 'YCSB E',
}

export function kindInWords(kind: LoadKind): string {
  return IN_WORDS[kind]
}

/** Says only what is not as in the core. Two loads are the same if their labels are. */
export function labelOf(load: Load): string {
  const words = [`${IN_WORDS[load.kind]}, ${load.inFlight.toLocaleString('en')} in flight`]
  if (load.clients !== CORE.clients) words.push(`${load.clients} clients`)
  if (load.keys !== CORE.keys) words.push(`${shortCount(load.keys)} keys`)
  if (load.valueBytes !== CORE.valueBytes) words.push(bytesInWords(load.valueBytes))
  return words.join(', ')
}

export function shortCount(count: number): string {
  if (count >= 1_000_000) return `${count / 1_000_000} M`
  return count >= 1_000 ? `${count / 1_000} k` : String(count)
}

function bytesInWords(bytes: number): string {
  return bytes >= 1_024 ? `${bytes / 1_024} KiB` : `${bytes} B`
}
