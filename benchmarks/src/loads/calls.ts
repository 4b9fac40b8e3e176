/** What one call of each kind of load is. */
import type { PeerClient } from '../peers/peer.js'
import type { KeyPool } from './keys.js'
import { Chance, counterAt, drawOf, keyAt, prefixOf } from './keys.js'
import type { Load, LoadKind, Mix } from './load.js'
import { MANY, MIXES } from './load.js'

export type Call = () => Promise<unknown>

/** The store has no call for it: no fault, and nothing to measure. */
export class NoSuchCallError extends Error {
  override name = 'NoSuchCallError'

  constructor(kind: LoadKind) {
    super(`has no call for ${kind}`)
  }
}

export interface CallOptions {
  readonly load: Load
  readonly pool: KeyPool
  readonly seed: number
  /** The number of a key that nobody has written. */
  readonly nextNew: () => number
}

/** A step through all keys that is not along their order; prime, so that no key comes twice in a call. */
const STRIDE = 7_919

export function callsOn(options: CallOptions): (client: PeerClient) => Call {
  const { load, pool } = options
  const { keys } = pool
  const chance = new Chance(options.seed)
  const draw = drawOf(load.draw, keys.length, chance)
  const key = (): string => keys[draw()] as string
  const value = 'x'.repeat(load.valueBytes)
  const many = <T>(each: (key: string) => T): T[] => {
    const first = draw()
    const at = (place: number): string => keys[(first + place * STRIDE) % keys.length] as string
    return Array.from({ length: MANY }, (_, place) => each(at(place)))
  }
  return (client) => {
    const needed = <Name extends keyof PeerClient>(name: Name): NonNullable<PeerClient[Name]> => {
      if (client[name] === undefined) throw new NoSuchCallError(load.kind)
      return client[name]
    }
    switch (load.kind) {
      case 'get':
        return () => client.get(key())
      case 'set':
        return () => client.set(key(), value)
      case 'increment': {
        const increment = needed('increment').bind(client)
        return () => increment(counterAt(draw()))
      }
      case 'setIf': {
        const setIf = needed('setIf').bind(client)
        return () => setIf(key(), value)
      }
      case 'getMany': {
        const getMany = needed('getMany').bind(client)
        return () => getMany(many((each) => each))
      }
      case 'setMany': {
        const setMany = needed('setMany').bind(client)
        return () => setMany(many((each) => [each, value] as const))
      }
      case 'list': {
        const list = needed('list').bind(client)
        return () => list(prefixOf(key()), MANY)
      }
      case 'watch':
        throw new Error('a watch is set up before it is measured: see watch-calls.ts')
      case 'ycsb-a':
      case 'ycsb-b':
      case 'ycsb-c':
      case 'ycsb-e':
        return mixed(client, load.kind, { key, value, chance, nextNew: options.nextNew })
    }
  }
}

interface Drawn {
  readonly key: () => string
  readonly value: string
  readonly chance: Chance
  readonly nextNew: () => number
}

function mixed(client: PeerClient, mix: Mix, { key, value, chance, nextNew }: Drawn): Call {
  const { read, write, readsScan } = MIXES[mix]
  const list = client.list?.bind(client)
  if (readsScan && list === undefined) throw new NoSuchCallError(mix)
  const reads =
    readsScan && list !== undefined
      ? () => list(prefixOf(key()), 1 + (chance.whole() % MANY))
      : () => client.get(key())
  const target = write === 'update' ? key : () => keyAt(nextNew())
  return () => (chance.share() < read ? reads() : client.set(target(), value))
}

/**
 * One call before anything is measured, whose answer is looked at: what finds nothing is fast.
 * Rejects if a store does not answer as it should.
 */
export async function assertAnswers(client: PeerClient, load: Load): Promise<void> {
  const key = keyAt(Math.floor(load.keys / 2))
  if (load.kind === 'get' || load.kind === 'ycsb-c') {
    const found = await client.get(key)
    if (found === undefined || found === null) throw new Error(`there is nothing under ${key}`)
  }
  if (load.kind === 'list' || load.kind === 'ycsb-e') {
    const count = await client.list?.(prefixOf(key), MANY)
    if (count !== undefined && count !== MANY) {
      throw new Error(`a list of ${MANY} by prefix has ${count} entries`)
    }
  }
}
