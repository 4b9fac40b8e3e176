/**
 * The coordinator's memory on disk: reads it at the start, writes it before anyone acts on it.
 *
 * Every volume holds both records of `stored-records.ts`; the newest topology holds (hard-parts
 * 25). One that fails while the node runs is left behind, and the others go on. What is missing where
 * it should be is refused, never made anew: an empty directory in place of a lost mount would
 * otherwise become an empty database.
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
import { storedNewShard } from './state-record.js'
import { FORMAT_VERSION, readIdentity, readStoredTopology, seal } from './stored-records.js'
import type { VolumeListener } from './volume-record.js'
import { VolumeRecord } from './volume-record.js'

const IDENTITY_FILE = 'node.json'
const TOPOLOGY_FILE = 'topology.json'
const SHARDS_DIRECTORY = 'shards'
const SECRET_BYTES = 32

/** The part of the topology that its users change. */
export type TopologyChange = Partial<
  Pick<StoredTopology, 'incarnation' | 'clientIdsEnd' | 'shards' | 'processes' | 'jumps' | 'scaled'>
>

interface Volume {
  readonly index: number
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

/** What a node was told about its volumes. */
export interface StoreRequest {
  /** In their order. */
  readonly volumes: readonly string[]
  /** Indices of those that are gone. They are neither read nor written. */
  readonly lostVolumes: readonly number[]
  readonly disk: Disk
  /** For a new node. */
  readonly newShards: number
  readonly newCopies: number
  readonly listener: VolumeListener
}

export class TopologyStore {
  readonly identity: Identity
  private readonly records: readonly VolumeRecord[]
  private topology: StoredTopology
  /** Ends when the writes asked for so far have ended; never rejects. */
  private lastWrite: Promise<void> = Promise.resolve()

  private constructor(
    records: readonly VolumeRecord[],
    identity: Identity,
    topology: StoredTopology,
  ) {
    this.records = records
    this.identity = identity
    this.topology = topology
  }

  /**
   * Opens the volumes of a node, or makes new ones if all are empty. Whether what is found fits what
   * was asked for is for the caller to say.
   */
  static async open(request: StoreRequest): Promise<TopologyStore> {
    const { volumes, lostVolumes, disk } = request
    const found = await Promise.all(
      volumes.flatMap((path, index) =>
        lostVolumes.includes(index) ? [] : [readVolume(disk, path, index)],
      ),
    )
    const identity = found.find((volume) => volume.identity !== undefined)?.identity
    if (identity === undefined) return TopologyStore.create(request, found)
    const topologies = found.flatMap((volume) => volume.topology ?? [])
    const newest = topologies.toSorted((left, right) => right.generation - left.generation)[0]
    for (const volume of found) {
      if (await isNewHere(disk, volume, newest)) {
        await writeIdentity(disk, volume, { ...identity, volumeCount: volumes.length })
      } else assertVolume(volume, identity, volumes.length)
    }
    if (newest === undefined) throw damaged(volumes[0]!, `${TOPOLOGY_FILE} is missing`)
    return new TopologyStore(recordsOf(request, found), identity, newest)
  }

  private static async create(
    request: StoreRequest,
    found: readonly Volume[],
  ): Promise<TopologyStore> {
    for (const volume of found) await assertEmpty(request.disk, volume)
    if (found.length < request.volumes.length) {
      throw damaged(found[0]!.path, 'a node that is new has no lost volumes')
    }
    const identity = newIdentity(request.newShards, request.volumes.length)
    const topology = newTopology(identity, request.newCopies)
    const store = new TopologyStore(recordsOf(request, found), identity, topology)
    await store.update({})
    for (const volume of found) await writeIdentity(request.disk, volume, identity)
    return store
  }

  /** What was written last. */
  get stored(): StoredTopology {
    return this.topology
  }

  /**
   * Resolves once the change is durable on every volume that works; rejects if none does. Changes are
   * written in call order.
   */
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
    const isAlone = this.records.length === 1
    const failures = await Promise.all(this.records.map((record) => record.write(text, isAlone)))
    if (failures.every((failure) => failure !== undefined)) throw failures[0]!
    this.topology = next
  }
}

function recordsOf(request: StoreRequest, found: readonly Volume[]): readonly VolumeRecord[] {
  const { disk, listener } = request
  return found.map(({ path }) => new VolumeRecord(disk, path, join(path, TOPOLOGY_FILE), listener))
}

async function writeIdentity(disk: Disk, volume: Volume, identity: Identity): Promise<void> {
  const own = { ...identity, volume: volume.index }
  await replaceFile(disk, join(volume.path, IDENTITY_FILE), seal(own))
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

function newTopology(identity: Identity, copies: number): StoredTopology {
  return {
    formatVersion: FORMAT_VERSION,
    clusterId: identity.clusterId,
    generation: 0,
    incarnation: 0,
    clientIdsEnd: 1,
    shards: Array.from({ length: identity.shardCount }, (_, id) =>
      storedNewShard(id, copies, identity.volumeCount),
    ),
    processes: [],
  }
}

async function readVolume(disk: Disk, path: string, index: number): Promise<Volume> {
  return {
    index,
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

/**
 * Whether an empty volume stands where nothing is missing: nothing of what was to be there was ever
 * created, or it was given up when its disk was named as lost. Anything else that is gone is damage.
 */
async function isNewHere(
  disk: Disk,
  volume: Volume,
  newest: StoredTopology | undefined,
): Promise<boolean> {
  if (volume.identity !== undefined || newest === undefined) return false
  const isForeign = volume.topology !== undefined && volume.topology.clusterId !== newest.clusterId
  const names = await disk.readdir(volume.path)
  if (isForeign || names.includes(SHARDS_DIRECTORY)) return false
  return newest.shards.every(({ epoch, copies, inSync, primary }) =>
    copies.every((copy, number) => {
      if (copy.volume !== volume.index) return true
      const isMember = inSync?.members.includes(number) ?? number === primary
      return !copy.isCreated && (epoch === 0 || !isMember)
    }),
  )
}

function assertVolume(volume: Volume, first: Identity, count: number): void {
  const { identity, topology, path, index } = volume
  if (identity === undefined) {
    // With one volume there is nothing from which it could be made anew.
    const advice = ': mount it, or name it as lost (lostVolumes, --lost-volumes)'
    throw damaged(path, `${IDENTITY_FILE} is missing${count > 1 ? advice : ''}`)
  }
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
