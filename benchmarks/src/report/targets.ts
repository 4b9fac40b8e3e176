/**
 * What kv is meant to reach beside its peers, as data. Of a ratio the subject stands above, the reference
 * below; medians of the rounds, in one part, so that both were measured in turn.
 */
import type { ContenderName } from '../contender-names.js'
import type { Load } from '../loads/load.js'
import { labelOf } from '../loads/load.js'
import type { PartName } from '../plan.js'
import { loadOf } from '../plan.js'
import { median } from '../statistics.js'
import type { Fact, Figures, PartFigures } from './figures.js'
import { medianOf } from './rows.js'

type Metric = 'callsPerSecond' | 'p50Ms' | 'clientMicrosPerCall'

interface Figure {
  readonly contender: ContenderName
  readonly of: Load | { readonly fact: Fact; readonly keys: number }
  readonly metric?: Metric
}

export interface Target {
  readonly id: string
  readonly says: string
  readonly part: PartName
  readonly subject: Figure
  /** Absent: the figure itself is the measure. */
  readonly reference?: Figure
  readonly atLeast?: number
  readonly atMost?: number
}

export interface Judged {
  readonly target: Target
  /** Absent: something of it was not measured. */
  readonly value?: number
  readonly verdict: 'reached' | 'missed' | 'not measured'
}

interface Against {
  readonly contender: ContenderName
  readonly load: Load
  readonly metric?: Metric
  readonly part?: PartName
  readonly by?: ContenderName
}

function beside({ contender, load, metric, part, by }: Against): Omit<Target, 'id' | 'says'> {
  const common = { of: load, ...(metric === undefined ? {} : { metric }) }
  return {
    part: part ?? 'core',
    subject: { contender: by ?? 'kv-direct', ...common },
    reference: { contender, ...common },
  }
}

const get = loadOf('get', 256)
const set = loadOf('set', 256)
const oneGet = loadOf('get', 1)
const manyKeys = { keys: 10_000_000 }
const restarted = { fact: 'ms until it answers after kill -9', ...manyKeys } as const

export const TARGETS: readonly Target[] = [
  {
    id: 'get-ioredis',
    says: 'get, 256 in flight: rate of ioredis',
    ...beside({ contender: 'redis-always', load: get }),
    atLeast: 3.5,
  },
  {
    id: 'get-node-redis',
    says: 'get, 256 in flight: rate of node-redis',
    ...beside({ contender: 'node-redis', load: get }),
    atLeast: 6,
  },
  {
    id: 'set-redis',
    says: 'durable set, 256 in flight: rate of Redis with `always`',
    ...beside({ contender: 'redis-always', load: set }),
    atLeast: 2.5,
  },
  {
    id: 'everysec',
    says: 'set with `everysec`, 256 in flight: rate of Redis with `everysec`',
    ...beside({
      contender: 'redis-everysec',
      by: 'kv-everysec',
      load: set,
      part: 'durability',
    }),
    atLeast: 2,
  },
  {
    id: 'cpu-get',
    says: "get, 256 in flight: the client's CPU a call, of that of ioredis",
    ...beside({ contender: 'redis-always', load: get, metric: 'clientMicrosPerCall' }),
    atMost: 0.25,
  },
  {
    id: 'cpu-set',
    says: "durable set, 256 in flight: the client's CPU a call, of that of ioredis",
    ...beside({ contender: 'redis-always', load: set, metric: 'clientMicrosPerCall' }),
    atMost: 0.25,
  },
  {
    id: 'p50-direct',
    says: 'get, 1 in flight: p50 of ioredis',
    ...beside({ contender: 'redis-always', load: oneGet, metric: 'p50Ms' }),
    atMost: 1,
  },
  {
    id: 'p50-relayed',
    says: 'get, 1 in flight, relayed: p50 of ioredis',
    ...beside({ contender: 'redis-always', by: 'kv', load: oneGet, metric: 'p50Ms' }),
    atMost: 1.6,
  },
  {
    id: 'set-etcd',
    says: 'durable set, 256 in flight: rate of etcd',
    ...beside({ contender: 'etcd', load: set }),
    atLeast: 20,
  },
  {
    id: 'set-nats',
    says: 'durable set, 256 in flight: rate of NATS KV',
    ...beside({ contender: 'nats', load: set }),
    atLeast: 5,
  },
  {
    id: 'set-deno',
    says: 'durable set, 256 in flight: rate of Deno KV',
    ...beside({ contender: 'deno-kv', load: set }),
    atLeast: 10,
  },
  {
    id: 'get-many',
    says: 'getMany of 100, 256 in flight: rate of `mget` of ioredis',
    ...beside({ contender: 'redis-always', load: loadOf('getMany', 256) }),
    atLeast: 3,
  },
  {
    id: 'many-keys',
    says: 'get, 256 in flight, 10 M keys: of the rate with 100 k keys',
    part: 'keys',
    subject: { contender: 'kv-direct', of: loadOf('get', 256, manyKeys) },
    reference: { contender: 'kv-direct', of: get },
    atLeast: 0.8,
  },
  {
    id: 'restart',
    says: 'ready after kill -9 with 10 M keys, in ms',
    part: 'restart',
    subject: { contender: 'kv-direct', of: restarted },
    atMost: 2_000,
  },
  {
    id: 'restart-redis',
    says: 'ready after kill -9 with 10 M keys: time of Redis that loads its log',
    part: 'restart',
    subject: { contender: 'kv-direct', of: restarted },
    reference: { contender: 'redis-always', of: restarted },
    atMost: 0.1,
  },
  {
    id: 'raw-log',
    says: 'durable set, 2,000 in flight: of the rate of raw appends to a log in the same groups',
    ...beside({ contender: 'raw-log', load: loadOf('set', 2_000), part: 'inflight' }),
    atLeast: 0.5,
  },
]

export function judge(figures: Figures): Judged[] {
  return TARGETS.map((target) => {
    const part = figures.parts.find(({ part: name }) => name === target.part)
    const value = part === undefined ? undefined : valueOf(target, part)
    if (value === undefined) return { target, verdict: 'not measured' }
    const { atLeast = 0, atMost = Number.POSITIVE_INFINITY } = target
    const isReached = value >= atLeast && value <= atMost
    return { target, value, verdict: isReached ? 'reached' : 'missed' }
  })
}

function valueOf({ subject, reference }: Target, part: PartFigures): number | undefined {
  const above = figureOf(subject, part)
  if (reference === undefined || above === undefined) return above
  const below = figureOf(reference, part)
  return below === undefined ? undefined : above / below
}

function figureOf({ contender, of, metric }: Figure, part: PartFigures): number | undefined {
  if ('fact' in of) {
    const found = part.facts.find(
      (fact) => fact.contender === contender && fact.fact === of.fact && fact.keys === of.keys,
    )
    return found === undefined || found.values.length === 0 ? undefined : median(found.values)
  }
  const found = part.cells.find(
    (cell) => cell.contender === contender && labelOf(cell.load) === labelOf(of),
  )
  if (found === undefined || found.rounds.length === 0) return undefined
  return medianOf(found, metric ?? 'callsPerSecond')
}
