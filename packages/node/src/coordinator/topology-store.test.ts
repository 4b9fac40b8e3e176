import { describe, expect, test, vi } from 'vitest'
import type { Disk, DiskFile } from './atomic-file.js'
import { seal } from './stored-records.js'
import type { Identity, StoredTopology } from './stored-records.js'
import { VOLUME_SILENT_MS_MAX } from './volume-record.js'
import type { StoreRequest } from './topology-store.js'
import { TopologyStore, copyDirectory } from './topology-store.js'

const VOLUME = '/data'
const SHARDS = 16

interface Inode {
  written: string
  synced: string
}

/** What a power cut leaves of what was not synced: names and contents, each or neither. */
const REMAINS = ['nothing', 'names', 'contents', 'everything'] as const

/** A disk that forgets what was not synced, and that can die at any operation. */
class DiskModel implements Disk {
  operations = 0
  private readonly names: Map<string, Inode>
  private durable: Map<string, Inode>
  /** Operations from this one on fail. */
  private diesAt = Infinity
  private failing: string | undefined
  private hanging: { readonly path: string; readonly until: Promise<void> } | undefined

  constructor(names: ReadonlyMap<string, Inode> = new Map()) {
    this.names = new Map(names)
    this.durable = new Map(names)
  }

  dieAt(operation: number): this {
    this.diesAt = operation
    return this
  }

  /** What is found when the power is back. */
  afterPowerCut(remains: (typeof REMAINS)[number]): DiskModel {
    const names = remains === 'names' || remains === 'everything' ? this.names : this.durable
    const keepsContents = remains === 'contents' || remains === 'everything'
    const inodes = [...names].map(([path, { written, synced }]) => {
      const content = keepsContents ? written : synced
      return [path, { written: content, synced: content }] as const
    })
    return new DiskModel(new Map(inodes))
  }

  put(path: string, text: string): this {
    const inode = { written: text, synced: text }
    this.names.set(path, inode)
    this.durable.set(path, inode)
    return this
  }

  /** Whatever is opened below this path fails. */
  failUnder(path: string | undefined): void {
    this.failing = path
  }

  /** Whatever is opened below this path waits for the function that is returned. */
  hangUnder(path: string): () => void {
    let release = (): void => {}
    const until = new Promise<void>((resolve) => {
      release = resolve
    })
    this.hanging = { path, until }
    return release
  }

  remove(path: string): this {
    this.names.delete(path)
    return this
  }

  async open(path: string, flags: string): Promise<DiskFile> {
    this.tick()
    if (this.failing !== undefined && path.startsWith(this.failing)) {
      throw Object.assign(new Error('input/output error'), { code: 'EIO' })
    }
    if (this.hanging !== undefined && path.startsWith(this.hanging.path)) await this.hanging.until
    if (flags === 'r') {
      const sync = async (): Promise<void> => {
        this.tick()
        this.durable = new Map(this.names)
      }
      return { writeFile: async () => {}, sync, close: async () => {} }
    }
    const inode = { written: '', synced: '' }
    this.names.set(path, inode)
    return {
      writeFile: async (text) => {
        this.tick()
        inode.written = text
      },
      sync: async () => {
        this.tick()
        inode.synced = inode.written
      },
      close: async () => {},
    }
  }

  async rename(from: string, to: string): Promise<void> {
    this.tick()
    this.names.set(to, this.names.get(from)!)
    this.names.delete(from)
  }

  async readFile(path: string): Promise<string> {
    const inode = this.names.get(path)
    if (inode !== undefined) return inode.written
    throw Object.assign(new Error('no such file'), { code: 'ENOENT' })
  }

  async readdir(path: string): Promise<string[]> {
    const inside = [...this.names.keys()].filter((name) => name.startsWith(`${path}/`))
    return [...new Set(inside.map((name) => name.slice(path.length + 1).split('/')[0]!))]
  }

  private tick(): void {
    this.operations += 1
    if (this.operations >= this.diesAt) throw new Error('the power is gone')
  }
}

function open(disk: Disk, changes: Partial<StoreRequest> = {}): Promise<TopologyStore> {
  return TopologyStore.open({
    volumes: [VOLUME],
    lostVolumes: [],
    disk,
    newShards: SHARDS,
    newCopies: 1,
    listener: { onSuspect: () => {}, onWell: () => {} },
    ...changes,
  })
}

async function contentOf(disk: Disk, name: 'node.json'): Promise<Identity>
async function contentOf(disk: Disk, name: 'topology.json'): Promise<StoredTopology>
async function contentOf(disk: Disk, name: string): Promise<unknown> {
  return (JSON.parse(await disk.readFile(`${VOLUME}/${name}`, 'utf8')) as { record: unknown })
    .record
}

/** Two copies on two volumes. */
const PAIR = { volumes: ['/one', '/two'], newCopies: 2 }

async function withPairs(disk: DiskModel): Promise<TopologyStore> {
  const store = await open(disk, PAIR)
  const shards = store.stored.shards.map((shard) => ({
    ...shard,
    epoch: 1,
    copies: shard.copies.map((copy) => ({ ...copy, child: 1, isCreated: true })),
  }))
  await store.update({ shards })
  return store
}

/** Marks shard 0 as created: from here on the directory holds data. */
async function withData(disk: DiskModel): Promise<TopologyStore> {
  const store = await open(disk)
  const [first, ...rest] = store.stored.shards
  const copies = [{ ...first!.copies[0]!, child: 1, isCreated: true }]
  await store.update({ shards: [{ ...first!, epoch: 1, copies }, ...rest] })
  return store
}

describe('topology store', () => {
  test('an empty directory → a new node, and the same one ever after', async () => {
    const disk = new DiskModel()
    const created = await open(disk)
    expect(created.identity.shardCount).toBe(SHARDS)
    expect(created.stored.shards).toHaveLength(SHARDS)
    const again = await open(disk.afterPowerCut('nothing'), { newShards: 64 })
    expect(again.identity).toEqual(created.identity)
    expect(again.stored).toEqual(created.stored)
  })

  test('an update has resolved → it survives a power cut', async () => {
    const disk = new DiskModel()
    const store = await open(disk)
    await store.update({ incarnation: 7 })
    for (const remains of REMAINS) {
      const found = await open(disk.afterPowerCut(remains))
      expect(found.stored).toEqual(store.stored)
      expect(found.stored.incarnation).toBe(7)
    }
  })

  test('a power cut at any step of an update → the old or the new', async () => {
    const base = new DiskModel()
    await withData(base)
    const before = await contentOf(base, 'topology.json')
    const seen = new Set<number>()
    for (let step = 1; step <= 6; step += 1) {
      for (const remains of REMAINS) {
        const disk = base.afterPowerCut('nothing')
        const store = await open(disk)
        disk.dieAt(disk.operations + step)
        await store.update({ incarnation: 7 }).catch(() => {})
        const found = await open(disk.afterPowerCut(remains))
        seen.add(found.stored.incarnation)
        expect([before.incarnation, 7]).toContain(found.stored.incarnation)
        expect(found.stored.shards).toEqual(before.shards)
      }
    }
    expect(seen).toEqual(new Set([before.incarnation, 7]))
  })

  test('a power cut at any step of the creation → the next start creates or goes on', async () => {
    for (let step = 1; step <= 12; step += 1) {
      for (const remains of REMAINS) {
        const disk = new DiskModel().dieAt(step)
        await open(disk).catch(() => {})
        const store = await open(disk.afterPowerCut(remains))
        expect(store.stored.shards).toHaveLength(SHARDS)
      }
    }
  })

  test('an update failed → the next one is written, newer than both', async () => {
    const disk = new DiskModel()
    const store = await open(disk)
    disk.dieAt(disk.operations + 2)
    await expect(store.update({ incarnation: 7 })).rejects.toThrow('the power is gone')
    disk.dieAt(Infinity)
    await store.update({ incarnation: 8 })
    const found = await contentOf(disk, 'topology.json')
    expect(found).toMatchObject({ incarnation: 8, generation: 3 })
  })

  test('updates at the same time → written one after the other, none lost', async () => {
    const disk = new DiskModel()
    const store = await open(disk)
    await Promise.all([store.update({ incarnation: 3 }), store.update({ clientIdsEnd: 99 })])
    expect((await open(disk)).stored).toMatchObject({ incarnation: 3, clientIdsEnd: 99 })
  })

  test('identity gone, shards created → refused, not made anew', async () => {
    const disk = new DiskModel()
    await withData(disk)
    await expect(open(disk.remove(`${VOLUME}/node.json`))).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringContaining('node.json is missing') as string,
    })
  })

  test('topology gone → refused, not made anew', async () => {
    const disk = new DiskModel()
    await withData(disk)
    await expect(open(disk.remove(`${VOLUME}/topology.json`))).rejects.toThrow(
      'topology.json is missing',
    )
  })

  test('both gone, shards still there → refused, not made anew', async () => {
    const disk = new DiskModel().put(`${VOLUME}/shards/0/0/log`, '')
    await expect(open(disk)).rejects.toThrow('it holds data of a kv node')
  })

  test('a changed byte, a cut file, another format → refused with the reason', async () => {
    const disk = new DiskModel()
    await withData(disk)
    const path = `${VOLUME}/topology.json`
    const text = await disk.readFile(path)
    const future = { ...(await contentOf(disk, 'topology.json')), formatVersion: 2 }
    for (const [content, reason] of [
      [text.replace('"epoch":1', '"epoch":2'), 'checksum'],
      [text.slice(0, -20), path],
      ['', path],
      [seal(future), 'format version is 2'],
    ] as const) {
      await expect(open(disk.put(path, content))).rejects.toThrow(reason)
    }
  })

  test('a volume of another node → refused', async () => {
    const mine = new DiskModel()
    await withData(mine)
    const other = new DiskModel()
    await withData(other)
    const foreign = await other.readFile(`${VOLUME}/topology.json`)
    await expect(open(mine.put(`${VOLUME}/topology.json`, foreign))).rejects.toThrow(
      'it belongs to another kv node',
    )
  })

  test('several volumes → all are written, the newest holds, a missing one is refused', async () => {
    const disk = new DiskModel()
    const store = await withPairs(disk)
    const old = await disk.readFile('/one/topology.json')
    await store.update({ incarnation: 5 })
    disk.put('/one/topology.json', old)
    const found = await open(disk, PAIR)
    expect(found.stored.incarnation).toBe(5)
    disk.remove('/two/node.json')
    await expect(open(disk, PAIR)).rejects.toThrow('/two')
  })

  test('a missing volume is named → the node opens without it, and does not write there', async () => {
    const disk = new DiskModel()
    await withPairs(disk)
    disk.remove('/two/node.json').remove('/two/topology.json')
    const store = await open(disk, { ...PAIR, lostVolumes: [1] })
    await store.update({ incarnation: 5 })
    expect(await disk.readdir('/two')).toEqual([])
  })

  test('nothing is missing on an empty volume → it is taken in', async () => {
    const disk = new DiskModel()
    const store = await withPairs(disk)
    const shards = store.stored.shards.map((shard) => ({
      ...shard,
      inSync: {
        version: 2,
        members: shard.copies.flatMap(({ volume }, copy) => (volume === 0 ? copy : [])),
      },
      copies: shard.copies.map((copy) => ({ ...copy, isCreated: copy.volume === 0 })),
    }))
    await store.update({ shards })
    disk.remove('/two/node.json').remove('/two/topology.json')
    const again = await open(disk, PAIR)
    await again.update({})
    expect(await disk.readdir('/two')).toEqual(['node.json', 'topology.json'])
    expect((await open(disk, PAIR)).stored.shards).toEqual(shards)
  })

  test('one of two volumes fails while it runs → the other goes on; later it is well again', async () => {
    const disk = new DiskModel()
    const told: string[] = []
    const listener = {
      onSuspect: (volume: string) => told.push(`suspect ${volume}`),
      onWell: (volume: string) => told.push(`well ${volume}`),
    }
    const store = await open(disk, { ...PAIR, listener })
    disk.failUnder('/two')
    await store.update({ incarnation: 5 })
    await store.update({ incarnation: 6 })
    disk.failUnder(undefined)
    await store.update({ incarnation: 7 })
    expect(told).toEqual(['suspect /two', 'well /two'])
    const two = JSON.parse(await disk.readFile('/two/topology.json')) as { record: StoredTopology }
    expect(two.record.incarnation).toBe(7)
  })

  test('every volume fails → the update does', async () => {
    const disk = new DiskModel()
    const store = await open(disk, PAIR)
    disk.failUnder('/')
    await expect(store.update({ incarnation: 5 })).rejects.toThrow('input/output error')
  })

  test('one of two volumes hangs → the other goes on after a stated time', async () => {
    const disk = new DiskModel()
    const store = await open(disk, PAIR)
    vi.useFakeTimers()
    const release = disk.hangUnder('/two')
    const update = store.update({ incarnation: 5 })
    await vi.advanceTimersByTimeAsync(VOLUME_SILENT_MS_MAX)
    await update
    await store.update({ incarnation: 6 })
    vi.useRealTimers()
    release()
    expect(store.stored.incarnation).toBe(6)
  })

  test('a copy of a shard → its place says volume, shard and copy', () => {
    expect(copyDirectory('/data', 7, 0)).toBe('/data/shards/7/0')
  })
})
