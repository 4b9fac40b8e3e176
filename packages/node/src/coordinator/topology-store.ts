/**
 * The coordinator's memory on disk: reads it at the start, writes it before anyone acts on it.
 *
 * Every volume holds both records of `stored-records.ts`; the newest topology holds (hard-parts
 * 25). What is missing where it should be is refused, never made anew: an empty directory in place of a
 * lost mount would otherwise become an empty database.
 *
 * Creation writes the topology before the identity. So a directory without an identity in which no
 * shard was created is an unfinished creation, and any other without one is damaged.
 */
import { randomBytes, randomUUID } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { KvError } from '@kv/protocol'
import type { Disk } from './atomic-file.js'
import { readIfThere, replaceFile, syncDirectory } from './atomic-file.js'
import type { Identity, StoredTopology } from './stored-records.js'
import { FORMAT_VERSION, readIdentity, readStoredTopology, seal } from './stored-records.js'

const IDENTITY_FILE = 'node.json'
const TOPOLOGY_FILE = 'topology.json'
const SHARDS_DIRECTORY = 'shards'
const SECRET_BYTES = 32

/** The part of the topology that its users change. */
export type TopologyChange = Partial<
  Pick<StoredTopology, 'incarnation' | 'clientIdsEnd' | 'shards' | 'processes'>
>

interface Volume {
  readonly path: string
  readonly identity: Identity | undefined
  readonly topology: StoredTopology | undefined
}

/** Where a copy of a shard lives. */
export function copyDirectory(volume: string, shard: number, copy: number): string {
  return join(volume, SHARDS_DIRECTORY, String(shard), String(copy))
}

/** Makes sure that the volumes' directories exist, durably. */
export async function prepareVolumes(volumes: readonly string[], disk: Disk): Promise<void> {
  for (const volume of volumes) {
    const created = await mkdir(volume, { recursive: true })
    if (created !== undefined) await syncDirectory(disk, dirname(created))
  }
}

export class TopologyStore {
  readonly identity: Identity
  private readonly volumes: readonly string[]
  private readonly disk: Disk
  private topology: StoredTopology
  /** Ends when the writes asked for so far have ended; never rejects. */
  private lastWrite: Promise<void> = Promise.resolve()

  private constructor(
    place: { readonly volumes: readonly string[]; readonly disk: Disk },
    identity: Identity,
    topology: StoredTopology,
  ) {
    this.volumes = place.volumes
    this.disk = place.disk
    this.identity = identity
    this.topology = topology
  }

  /**
   * Opens the volumes of a node, or makes new ones if all are empty. `shardCount` is for new ones;
   * whether it fits existing ones is for the caller to say.
   */
  static async open(
    volumes: readonly string[],
    disk: Disk,
    shardCount: number,
  ): Promise<TopologyStore> {
    const found = await Promise.all(volumes.map((path) => readVolume(disk, path)))
    const identity = found[0]?.identity
    if (identity === undefined) return TopologyStore.create(found, disk, shardCount)
    for (const [index, volume] of found.entries()) {
      assertVolume(volume, index, identity, found.length)
    }
    const topologies = found.flatMap((volume) => volume.topology ?? [])
    const newest = topologies.toSorted((left, right) => right.generation - left.generation)[0]
    if (newest === undefined) throw damaged(volumes[0]!, `${TOPOLOGY_FILE} is missing`)
    return new TopologyStore({ volumes, disk }, identity, newest)
  }

  private static async create(
    found: readonly Volume[],
    disk: Disk,
    shardCount: number,
  ): Promise<TopologyStore> {
    for (const volume of found) await assertEmpty(disk, volume)
    const volumes = found.map((volume) => volume.path)
    const identity = newIdentity(shardCount, volumes.length)
    const store = new TopologyStore({ volumes, disk }, identity, newTopology(identity))
    await store.update({})
    for (const [volume, path] of volumes.entries()) {
      await replaceFile(disk, join(path, IDENTITY_FILE), seal({ ...identity, volume }))
    }
    return store
  }

  /** What was written last. */
  get stored(): StoredTopology {
    return this.topology
  }

  /** Resolves once the change is durable on every volume. Changes are written in call order. */
  update(change: TopologyChange): Promise<void> {
    const write = this.lastWrite.then(() => this.write(change))
    this.lastWrite = write.catch(() => {})
    return write
  }

  private async write(change: TopologyChange): Promise<void> {
    const next = { ...this.topology, ...change, generation: this.topology.generation + 1 }
    const text = seal(next)
    // A write that fails on one volume has happened on others: its number is used up.
    this.topology = { ...this.topology, generation: next.generation }
    for (const volume of this.volumes) {
      await replaceFile(this.disk, join(volume, TOPOLOGY_FILE), text)
    }
    this.topology = next
  }
}

function newIdentity(shardCount: number, volumeCount: number): Identity {
  return {
    formatVersion: FORMAT_VERSION,
    clusterId: randomUUID(),
    shardCount,
    secret: randomBytes(SECRET_BYTES).toString('hex'),
    volume: 0,
    volumeCount,
  }
}

function newTopology(identity: Identity): StoredTopology {
  return {
    formatVersion: FORMAT_VERSION,
    clusterId: identity.clusterId,
    generation: 0,
    incarnation: 0,
    clientIdsEnd: 1,
    shards: Array.from({ length: identity.shardCount }, () => ({
      epoch: 0,
      primary: 0,
      copies: [{ volume: 0, child: 0, isCreated: false }],
    })),
    processes: [],
  }
}

async function readVolume(disk: Disk, path: string): Promise<Volume> {
  return {
    path,
    identity: await readRecord(disk, join(path, IDENTITY_FILE), readIdentity),
    topology: await readRecord(disk, join(path, TOPOLOGY_FILE), readStoredTopology),
  }
}

async function readRecord<Content>(
  disk: Disk,
  path: string,
  read: (text: string) => Content,
): Promise<Content | undefined> {
  const text = await readIfThere(disk, path)
  if (text === undefined) return undefined
  try {
    return read(text)
  } catch (error) {
    throw damaged(path, (error as Error).message, error)
  }
}

/** A volume may be filled only if nothing tells that it ever held a shard. */
async function assertEmpty(disk: Disk, volume: Volume): Promise<void> {
  const names = await disk.readdir(volume.path)
  const copies = volume.topology?.shards.flatMap((shard) => shard.copies) ?? []
  if (volume.identity === undefined && !copies.some((copy) => copy.isCreated)) {
    if (!names.includes(SHARDS_DIRECTORY)) return
  }
  throw damaged(volume.path, `it holds data of a kv node, but ${IDENTITY_FILE} is missing`)
}

function assertVolume(volume: Volume, index: number, first: Identity, count: number): void {
  const { identity, topology, path } = volume
  if (identity === undefined) throw damaged(path, `${IDENTITY_FILE} is missing`)
  const belongs =
    identity.clusterId === first.clusterId &&
    identity.volume === index &&
    identity.volumeCount === count &&
    (topology === undefined || topology.clusterId === first.clusterId)
  if (!belongs) throw damaged(path, 'it belongs to another kv node')
}

function damaged(path: string, what: string, cause?: unknown): KvError {
  return new KvError('UNAVAILABLE', `${path} can't be used: ${what}`, {
    outcome: 'not-applied',
    cause,
  })
}
