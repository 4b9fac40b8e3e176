/** What a coordinator makes of copies and volumes on real directories; the children are played. */
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { duplexPair } from 'node:stream'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { BackupPlace, FromChild, ReplicaPlace, ToChild } from '../link/control.js'
import type { ChildListener, RunningChild } from './child-process.js'
import type { CoordinatorSettings } from './coordinator.js'
import { PLAIN_SETTINGS } from './testing/plain-settings.js'
import { Coordinator } from './coordinator.js'

const SHARDS = 4

/** Does what it is told, at once. */
class WillingChild implements RunningChild {
  readonly pid = process.pid
  readonly socket = duplexPair({ allowHalfOpen: false })[0]
  readonly places: (ReplicaPlace | BackupPlace)[] = []
  address = ''
  private readonly listener: ChildListener

  constructor(listener: ChildListener) {
    this.listener = listener
  }

  send(message: ToChild): void {
    if (message.type === 'configure') {
      this.address = message.configuration.replicationAddress
      this.says({ type: 'started', port: 0 })
    } else if (message.type === 'open') {
      const { shard, hosting, epoch } = message.place
      this.places.push(message.place)
      this.says({ type: 'opened', shard, hosting, epoch })
    } else if (message.type === 'back') {
      const { shard, hosting } = message.place
      this.places.push(message.place)
      this.says({ type: 'backing', shard, hosting })
    } else if (message.type === 'release') this.says({ ...message, type: 'released' })
    else if (message.type === 'ping') this.says({ type: 'pong', nonce: message.nonce })
    else if (message.type === 'stop') this.kill()
  }

  kill(): void {
    setImmediate(() => this.listener.onExit({ code: 0, signal: null }))
  }

  private says(message: FromChild): void {
    setImmediate(() => this.listener.onMessage(message))
  }
}

let root: string
let children: WillingChild[]
let running: Coordinator | undefined

async function start(changes: Partial<CoordinatorSettings> = {}): Promise<Coordinator> {
  children = []
  running = await Coordinator.start(
    {
      ...PLAIN_SETTINGS,
      volumes: [root],
      children: 3,
      newShards: SHARDS,
      fork: (listener) => {
        const child = new WillingChild(listener)
        children.push(child)
        return child
      },
      ...changes,
    },
    { onTopology: () => {}, onChildExit: () => {}, onFailover: () => {}, onMove: () => {} },
  )
  return running
}

async function stop(): Promise<void> {
  await running?.close()
  running = undefined
}

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'kv-copies-'))
})

afterEach(async () => {
  await stop()
  await rm(root, { recursive: true })
})

describe('coordinator: copies', () => {
  test('two copies → in different children, both in sync, the backup told where its primary listens', async () => {
    const node = await start({ replicationFactor: 2 })
    const { shards } = node.topology()
    for (const { copies, inSync } of shards) {
      expect(inSync).toEqual([0, 1])
      expect(new Set(copies.map(({ child }) => child)).size).toBe(2)
    }
    const addresses = children.map(({ address }) => address)
    expect(new Set(addresses).size).toBe(3)
    const places = children.flatMap((child) => child.places)
    const backups = places.filter((place): place is BackupPlace => 'primaryAddress' in place)
    expect(backups).toHaveLength(SHARDS)
    for (const { shard, primaryAddress } of backups) {
      expect(primaryAddress).toBe(addresses[shards[shard]!.primary - 1])
    }
    const primaries = places.filter((place): place is ReplicaPlace => 'epoch' in place)
    expect(primaries.every(({ minInSync }) => minInSync === 2)).toBe(true)
  })

  test('the number of copies → what the directory has; it can grow, and not shrink', async () => {
    await start({ replicationFactor: 2 })
    await stop()
    expect((await start()).topology().shards[0]!.copies).toHaveLength(2)
    await stop()
    await expect(start({ replicationFactor: 1 })).rejects.toThrow('that can only grow')
    const grown = await start({ replicationFactor: 3 })
    const [shard] = grown.topology().shards
    expect(shard!.copies).toHaveLength(3)
    expect(shard!.inSync).toEqual([0, 1])
  })

  test('fewer children than the directory has copies → refused', async () => {
    await start({ replicationFactor: 2 })
    await stop()
    await expect(start({ children: 1 })).rejects.toThrow('each copy is in another child')
  })

  test('one copy → nobody listens for backups', async () => {
    await start()
    expect(children.map(({ address }) => address)).toEqual(['', '', ''])
  })
})

describe('coordinator: volumes', () => {
  let volumes: string[]

  beforeEach(() => {
    volumes = [join(root, 'one'), join(root, 'two')]
  })

  test('two volumes → the copies of a shard are on different ones, the topology on both', async () => {
    const node = await start({ volumes, replicationFactor: 2 })
    for (const { id, copies } of node.topology().shards) {
      const expected = [0, 1].map((copy) =>
        join(volumes[(id + copy) % 2]!, 'shards', String(id), String(copy)),
      )
      expect(copies.map(({ directory }) => directory)).toEqual(expected)
    }
    await stop()
    const texts = await Promise.all(volumes.map((path) => readFile(join(path, 'topology.json'))))
    expect(texts[0]).toEqual(texts[1])
  })

  test('a volume is missing → refused; named as lost → served from the others', async () => {
    await start({ volumes, replicationFactor: 2 })
    await stop()
    await rm(volumes[1]!, { recursive: true })
    await expect(start({ volumes })).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    const node = await start({ volumes, lostVolumes: [1] })
    for (const { id, copies, inSync, primary } of node.topology().shards) {
      expect(primary).toBeGreaterThan(0)
      expect(inSync).toEqual([id % 2])
      expect(copies[1 - (id % 2)]!.state).toBe('lost')
    }
  })

  test('the lost disk was replaced → taken in, its copies made anew, not in sync before they are', async () => {
    await start({ volumes, replicationFactor: 2 })
    await stop()
    await rm(volumes[1]!, { recursive: true })
    await start({ volumes, lostVolumes: [1] })
    await stop()
    await mkdir(volumes[1]!)
    const node = await start({ volumes })
    const places = children.flatMap((child) => child.places)
    for (const { id, inSync } of node.topology().shards) {
      expect(inSync).toEqual([id % 2])
      const create = places.filter((place) => place.shard === id && place.create)
      expect(create.map(({ volume }) => volume)).toEqual([volumes[1]])
    }
  })

  test('one of the volumes is in use by another node → refused', async () => {
    await start({ volumes: [volumes[1]!] })
    const first = running
    await expect(start({ volumes, replicationFactor: 2 })).rejects.toThrow('is in use by another')
    running = first
  })
})
