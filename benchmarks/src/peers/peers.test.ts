import { inspect } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ContenderName } from '../contender-names.js'
import { CONTENDER_NAMES } from '../contender-names.js'
import { CONTENDERS } from '../contenders.js'
import type { AbsentPeer, Peer, PeerClient, RestartablePeer } from './peer.js'

/** It takes sets only, and has a test of its own. */
const NOT_ASKED: ReadonlySet<ContenderName> = new Set(['raw-log'])
const RESTARTED: ReadonlySet<ContenderName> = new Set(['kv-direct', 'redis-always'])

const ENTRIES = [
  ['bench:list:1', 'a'],
  ['bench:list:2', 'b'],
  ['bench:list:3', 'c'],
] as const

/** A program that is not installed is told of; it is no fault of what is tested here. */
function isAbsent(peer: Peer | AbsentPeer): peer is AbsentPeer {
  if ('absent' in peer) console.log(`${peer.name}: ${peer.absent}`)
  return 'absent' in peer
}

describe.each(CONTENDER_NAMES.filter((name) => !NOT_ASKED.has(name)))('peers: %s', (contender) => {
  let peer: Peer | AbsentPeer
  let client: PeerClient | undefined

  beforeAll(async () => {
    peer = await CONTENDERS[contender]()
    if (!isAbsent(peer)) client = await peer.connect()
  })

  afterAll(async () => {
    await client?.close()
    if (!('absent' in peer)) await peer.stop()
  })

  test('says which versions are compared', () => {
    expect('absent' in peer ? '0.0.0' : peer.settings).toMatch(/\d+\.\d+\.\d+/)
  })

  test('get → what was set, and nothing where nothing was', async () => {
    if (client === undefined) return
    await client.set('bench:one', 'first')
    expect(await client.get('bench:one')).toBe('first')
    expect((await client.get('bench:none')) ?? undefined).toBeUndefined()
  })

  test('increment → one more each time', async () => {
    if (client?.increment === undefined) return
    await client.increment('bench:count')
    await client.increment('bench:count')
    // As text: some stores have a type of their own for it.
    expect(inspect(await client.get('bench:count'))).toMatch(/2/)
  })

  test('setIf → it is set, whether there was something or not', async () => {
    if (client?.setIf === undefined) return
    await client.setIf('bench:if', 'first')
    await client.setIf('bench:if', 'second')
    expect(await client.get('bench:if')).toBe('second')
  })

  test('setMany, getMany, list → all of them, in order', async () => {
    if (client?.setMany === undefined || client.getMany === undefined) return
    await client.setMany(ENTRIES)
    const keys = ENTRIES.map(([key]) => key).toReversed()
    expect(await client.getMany(keys)).toEqual(['c', 'b', 'a'])
    if (client.list === undefined) return
    expect(await client.list('bench:list:', 2)).toBe(2)
    expect(await client.list('bench:list:', 100)).toBe(3)
  })

  test('watch → told of a change, made by another client', async () => {
    if (client?.watch === undefined || 'absent' in peer) return
    const writer = await peer.connect()
    await writer.set('bench:watched', 'before')
    let onSeen: (told: string) => void = () => undefined
    const seen = new Promise<string>((resolve) => {
      onSeen = resolve
    })
    const end = await client.watch('bench:watched', () => onSeen('told'))
    await writer.set('bench:watched', 'after')
    expect(await seen).toBe('told')
    await end()
    await writer.close()
  })

  if (!RESTARTED.has(contender)) return

  test('kill -9 → started again with what it had', async () => {
    if (client === undefined || 'absent' in peer) return
    const restartable = peer as RestartablePeer
    expect(peer.memoryBytes?.()).toBeGreaterThan(1_000_000)
    await client.set('bench:kept', 'kept')
    await client.close()
    await restartable.kill()
    await restartable.restart()
    client = await peer.connect()
    expect(await client.get('bench:kept')).toBe('kept')
  })
})

test('peers: raw-log → takes sets, and says that nothing can be read', async () => {
  const peer = await CONTENDERS['raw-log']()
  if (isAbsent(peer)) return
  const client = await peer.connect()
  await Promise.all(ENTRIES.map(([key, value]) => client.set(key, value)))
  await expect(client.get('bench:list:1')).rejects.toThrow('takes sets only')
  await peer.stop()
})
