/** Who takes part, by the names that the plan and the figures use. How to start one is in `contenders.ts`. */
export const CONTENDER_NAMES = [
  'kv-direct',
  'kv',
  'kv-everysec',
  'kv-copies',
  'redis-always',
  'redis-everysec',
  'redis-none',
  'redis-replica',
  'node-redis',
  'etcd',
  'nats',
  'deno-kv',
  'lmdb',
  'map',
  'raw-log',
] as const

export type ContenderName = (typeof CONTENDER_NAMES)[number]

/** These show what is possible at most, without a server; charts are not scaled to them. */
export const LIMITS: ReadonlySet<ContenderName> = new Set(['lmdb', 'map', 'raw-log'])

/** Estimates for the time that a run will take; nothing is decided by them. */
export interface Estimate {
  readonly startSeconds: number
  readonly fillKeysPerSecond: number
}

const FAST: Estimate = { startSeconds: 1.5, fillKeysPerSecond: 80_000 }
const SLOW: Estimate = { startSeconds: 3, fillKeysPerSecond: 10_000 }
const SLOW_NAMES: ReadonlySet<ContenderName> = new Set(['etcd', 'nats', 'deno-kv'])

export function estimateOf(contender: ContenderName): Estimate {
  return SLOW_NAMES.has(contender) ? SLOW : FAST
}
