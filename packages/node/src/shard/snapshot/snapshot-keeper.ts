/**
 * The snapshots that a shard takes of itself into files: when one is due, which part of the log goes
 * with the last, and when that has become too long to be kept.
 *
 * A snapshot without the log from its start on is of no use. That log counts in bytes of frames. At half
 * of its limit the next snapshot is due before its time; at the limit, which is reached only if none
 * succeeds, the snapshot is given up, and the log goes.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { Clock } from '../clock.js'
import { nodeFileSystem, type LogFileSystem } from '../log/file-system.js'
import type { Log } from '../log/log.js'
import type { SnapshotPart, SnapshotSource } from './parts.js'
import { SnapshotDamage } from './page.js'
import { finish, prepareUnfinished, removeSnapshots, snapshotFiles } from './snapshot-directory.js'
import { SnapshotFileReader, SnapshotFileWriter } from './snapshot-file.js'

/** The log kept for a snapshot has so many bytes at most, or as many as the snapshot itself. */
export const SNAPSHOT_LOG_BYTES_MAX: number = 64 * 1_048_576
/** A shard that has none takes its first so soon after it was opened, if not sooner. */
const FIRST_MS = 10_000
const RETRY_MS = 60_000
/**
 * How long a page is rested from, by the time that it took to read and to write: calls and the log come
 * first, and the more so the more there is to do.
 */
const REST_RATIO = 4
const REST_MS_MAX = 200

export interface SnapshotSettings {
  readonly everyMs: number
  /** One could not be taken. Another attempt follows. */
  readonly onError: (error: Error) => void
}

export interface SnapshotKeeperPorts extends Place {
  readonly log: Pick<Log, 'firstRevision' | 'sync'>
  readonly clock: Clock
  readonly fileSystem?: LogFileSystem
  committedRevision(): number
  openSource(): SnapshotSource
}

export interface Taken {
  readonly startRevision: number
  readonly takenAtMs: number
  readonly bytes: number
  /** Bytes of the frames after its start. */
  logBytes: number
}

interface Place {
  readonly directory: string
  readonly clusterId: string
  readonly shard: number
}

/**
 * The newest that earlier times have left, if its log is there. Whoever takes none keeps none: the log
 * would not be kept for it.
 */
export async function latestOf(
  options: Place & { readonly snapshots?: SnapshotSettings },
  log: Pick<Log, 'firstRevision' | 'bytesOnDisk'>,
): Promise<Taken | undefined> {
  const { directory, snapshots } = options
  if (snapshots === undefined) {
    await removeSnapshots(directory).catch(() => undefined)
    return undefined
  }
  for (const path of await snapshotFiles(directory)) {
    try {
      const reader = await SnapshotFileReader.open(nodeFileSystem, path, options)
      await reader.close()
      const { begin, takenAtMs } = reader.head
      const startRevision = begin.start.revision
      if (log.firstRevision > startRevision + 1) return undefined
      // How much of the log is of frames after it is not known: at most all of it.
      return { startRevision, takenAtMs, bytes: reader.bytes, logBytes: log.bytesOnDisk }
    } catch (error) {
      // One that is damaged is replaced by the next.
      if (!(error instanceof SnapshotDamage)) throw error
    }
  }
  return undefined
}

export class SnapshotKeeper {
  private readonly settings: SnapshotSettings
  private readonly ports: SnapshotKeeperPorts
  private readonly files: LogFileSystem
  private latest: Taken | undefined
  private underway: Taken | undefined
  private taking: Promise<void> | undefined
  private notBeforeMs: number
  private isClosed = false
  /** Ends the wait for a part that will not come. */
  private cancel: (() => void) | undefined

  constructor(settings: SnapshotSettings, ports: SnapshotKeeperPorts, latest: Taken | undefined) {
    this.settings = settings
    this.ports = ports
    this.files = ports.fileSystem ?? nodeFileSystem
    this.latest = latest
    const firstMs = latest === undefined ? Math.min(settings.everyMs, FIRST_MS) : 0
    this.notBeforeMs = ports.clock.now() + firstMs
  }

  /** The log has grown by a frame that stays. */
  onFrame(bodyBytes: number): void {
    if (this.latest !== undefined) this.latest.logBytes += bodyBytes
    if (this.underway !== undefined) this.underway.logBytes += bodyBytes
  }

  /** The log is to be kept from here on. Not above the start of one that is being taken. */
  get neededRevision(): number {
    const oldest = this.latest ?? this.underway
    return oldest === undefined ? Infinity : oldest.startRevision + 1
  }

  /** Since when one is due, in epoch milliseconds; `undefined` if none is. */
  get dueSinceMs(): number | undefined {
    const { latest, notBeforeMs } = this
    const nowMs = this.ports.clock.now()
    if (this.taking !== undefined || this.isClosed || nowMs < notBeforeMs) return undefined
    if (latest === undefined) return notBeforeMs
    // Nothing has changed: the next would be the same.
    if (latest.startRevision === this.ports.committedRevision()) return undefined
    const dueMs = latest.takenAtMs + this.settings.everyMs
    if (dueMs <= nowMs) return dueMs
    return latest.logBytes > logBytesMax(latest) / 2 ? nowMs : undefined
  }

  /** To be called a few times a second. Gives up what is of no use any more. */
  onTick(): void {
    const { log } = this.ports
    for (const taken of [this.latest, this.underway]) {
      if (taken === undefined) continue
      // On a full disk the log goes all the same.
      const isTrimmed = log.firstRevision > taken.startRevision + 1
      if (isTrimmed || taken.logBytes > logBytesMax(taken)) this.giveUp(taken)
    }
  }

  private giveUp(taken: Taken): void {
    if (taken === this.underway) {
      this.cancel?.()
      return
    }
    this.latest = undefined
    // What is being taken lies there, too: it replaces the one that is of no use.
    if (this.taking !== undefined) return
    this.taking = removeSnapshots(this.ports.directory)
      .catch((error: unknown) => this.settings.onError(error as Error))
      .finally(() => (this.taking = undefined))
  }

  /** Takes one. Never rejects; resolves when it is on the disk, has failed, or is given up. */
  take(): Promise<void> {
    if (this.isClosed) return Promise.resolve()
    this.taking ??= this.tryTake().finally(() => {
      this.taking = undefined
      this.underway = undefined
      this.cancel = undefined
    })
    return this.taking
  }

  private async tryTake(): Promise<void> {
    const source = this.ports.openSource()
    try {
      if (await this.copy(source)) return
    } catch (error) {
      if (!this.isClosed) this.settings.onError(error as Error)
    } finally {
      source.close()
    }
    this.notBeforeMs = this.ports.clock.now() + Math.min(this.settings.everyMs, RETRY_MS)
    // The next attempt would remove what is left of it, too, but may be long in coming.
    const { directory } = this.ports
    const left =
      this.latest === undefined ? removeSnapshots(directory) : prepareUnfinished(directory)
    await left.catch(() => undefined)
  }

  /** Returns whether it has come to its end. */
  private async copy(source: SnapshotSource): Promise<boolean> {
    const { directory, clusterId, shard, clock } = this.ports
    const path = await prepareUnfinished(directory)
    let isGivenUp = false
    const next = (): Promise<SnapshotPart | undefined> =>
      new Promise((resolve) => {
        this.cancel = () => {
          isGivenUp = true
          resolve(undefined)
        }
        if (this.isClosed || isGivenUp) resolve(undefined)
        else source.next(resolve)
      })
    const first = await next()
    if (first?.type !== 'snapshotBegin') return false
    const { begin } = first
    const startRevision = begin.start.revision
    const takenAtMs = clock.now()
    this.underway = { startRevision, takenAtMs, bytes: 0, logBytes: 0 }
    const head = { clusterId, shard, takenAtMs, begin }
    const writer = await SnapshotFileWriter.create(this.files, path, head)
    try {
      let begunMs = performance.now()
      let part = await next()
      for (; part?.type === 'snapshotPage'; part = await next()) {
        await writer.page(part.page)
        await delay(Math.min(REST_RATIO * (performance.now() - begunMs), REST_MS_MAX))
        begunMs = performance.now()
      }
      if (part?.type !== 'snapshotEnd') return false
      await writer.end(part.end)
      // What it holds must not be more than the log keeps.
      await this.ports.log.sync()
      if (isGivenUp && !this.isClosed) return false
    } finally {
      await writer.close()
    }
    await finish(directory, startRevision, this.files)
    this.latest = { ...this.underway, bytes: writer.bytes }
    return true
  }

  /** Gives up what is being taken. Resolves when nothing is under way. */
  async close(): Promise<void> {
    this.isClosed = true
    this.cancel?.()
    await this.taking
  }
}

function logBytesMax({ bytes }: Taken): number {
  return Math.max(SNAPSHOT_LOG_BYTES_MAX, bytes)
}
