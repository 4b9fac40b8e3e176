/**
 * The options of a node: their defaults, their limits, and what is said about a wrong one.
 *
 * A wrong option is a mistake of the program and a `TypeError`; what depends on the machine (the
 * port, the directory) is found out at the start and is a `KvError`.
 */
import { availableParallelism } from 'node:os'
import { resolve } from 'node:path'
import {
  CHILDREN_MAX,
  HELLO_TEXT_BYTES_MAX,
  IN_FLIGHT_BYTES_MAX,
  MESSAGE_BYTES_MAX,
  SHARDS_MAX,
  VALUE_BYTES_MAX,
} from '@kv/protocol'
import type { Logger } from 'pino'
import { assertRoomForCopies } from './coordinator/copies.js'
import { isLoopback } from './ingress/origin.js'
import type { Fsync, PortRange } from './link/control.js'
import type { LogLevel } from './logger.js'
import { isLogLevel } from './logger.js'

export const DEFAULT_HOST = '127.0.0.1'
export const DEFAULT_PORT = 7400

const SHARDS_MIN = 16
const OVERLAY_BYTES_MIN = 1_048_576
const OVERLAY_BYTES_DEFAULT = 64 * 1_048_576
const HISTORY_BYTES_DEFAULT = 256 * 1_048_576
const HISTORY_MS_DEFAULT = 3_600_000
const CONNECTIONS_DEFAULT = 10_000
const PING_TIMEOUT_MS_MIN = 500
const PING_TIMEOUT_MS_DEFAULT = 1_000
const TIMEOUT_MS_MAX = 3_600_000
const SNAPSHOTS_MS_MIN = 100
const SNAPSHOTS_MS_MAX = 30 * 24 * 3_600_000
const COPIES_MAX = 16

export interface NodeOptions {
  /** Where everything is kept; made if it is not there. Either this or `volumes`. */
  readonly dataDir?: string | undefined
  /**
   * Directories on different disks, in an order that never changes. The copies of a shard are on
   * different ones, so there are at least as many as copies.
   */
  readonly volumes?: readonly string[] | undefined
  /**
   * Those of `volumes` that are gone with what was on them. A volume that is missing at the start is
   * refused unless it is named here.
   */
  readonly lostVolumes?: readonly string[] | undefined
  /** Address to listen on, 127.0.0.1 by default. Any other than loopback needs a token. */
  readonly host?: string | undefined
  /** 7400 by default; 0 for any free port. */
  readonly port?: number | undefined
  /**
   * Shard children to run, at least as many as copies; one per core by default. A node that was scaled
   * keeps what it was scaled to as long as it is started with the same number here, or without one.
   */
  readonly children?: number | undefined
  /**
   * A power of two, fixed when the data directory is created. Default: what the directory has; for
   * a new one twice the cores rounded up, at least 16.
   */
  readonly shards?: number | undefined
  /**
   * Copies of every shard, each in another child. Default: what the data directory has; 1 for a new
   * one. It may grow from one start to the next.
   */
  readonly replicationFactor?: number | undefined
  /**
   * Copies in sync, the primary among them, below which writes wait. By default 2, or the number of
   * copies if that is less.
   */
  readonly minInSync?: number | undefined
  /**
   * When a write is acknowledged: `always`, the default, once it is on disk; `everysec` once the system
   * has it, which syncs it within a second. Then `kill -9` of any process loses nothing either, but a
   * power cut, or a crash of the system, takes back what was acknowledged in the last second or two.
   */
  readonly fsync?: Fsync | undefined
  /** What clients must show to come in. */
  readonly token?: string | undefined
  /**
   * Origins of web pages that may connect, such as `https://app.example.com`, besides pages of this
   * machine and, if there is a token, of the host by which the page finds the node.
   */
  readonly origins?: readonly string[] | undefined
  /**
   * Ports on which children take clients by themselves: `any` free ones, the default; those from one to
   * another, as in `7410-7419`, at least as many as children; `none`: everything goes through the
   * coordinator. They are on the same host and open to the same clients as the port of the node.
   */
  readonly directPorts?: string | undefined
  readonly limits?: NodeLimitOptions | undefined
  /** Of a node with one copy of every shard: from what a damaged state is built anew. */
  readonly snapshots?: NodeSnapshotOptions | undefined
  /** A child that does not answer for so long is killed and replaced; 1,000 by default. */
  readonly pingTimeoutMs?: number | undefined
  /** A pino logger, or the level of one of our own; 'warn' by default. */
  readonly logger?: LogLevel | Logger | undefined
}

export interface NodeSnapshotOptions {
  /**
   * How often each shard that is written to takes a snapshot of itself into a file, in milliseconds;
   * sooner if it is written to a lot. 0, the default: never. It costs disk: the state once more, and up
   * to as much of the log, at least 64 MiB per shard. Of no effect with several copies, which rebuild
   * each other.
   */
  readonly everyMs?: number | undefined
}

export interface NodeLimitOptions {
  /** Largest value as stored; 1 MiB by default, which is also the most. */
  readonly valueBytesMax?: number | undefined
  /** Memory per child for writes that are durable but not yet in the tree; 64 MiB by default. */
  readonly overlayBytesMax?: number | undefined
  /**
   * Bytes of log kept for watchers that are behind, all shards together; 256 MiB by default, 0 for
   * none. A watcher that is further behind is told `reset`.
   */
  readonly historyBytesMax?: number | undefined
  /** How long they are kept, in milliseconds; an hour by default. Whichever ends first holds. */
  readonly historyMsMax?: number | undefined
  /** Bytes one connection may have unanswered; 8 MiB by default. */
  readonly inFlightBytesMax?: number | undefined
  /** Clients connected at once; 10,000 by default. */
  readonly connectionsMax?: number | undefined
}

/** The options with nothing left open. */
export interface NodeSettings {
  /** One or more. */
  readonly volumes: readonly string[]
  /** Indices of `volumes`. */
  readonly lostVolumes: readonly number[]
  readonly host: string
  readonly port: number
  /** What was asked for; `undefined` if nothing was. */
  readonly children: number | undefined
  /** For a node that was never scaled. */
  readonly usualChildren: number
  /** What was asked for; `undefined` if the directory decides. */
  readonly shards: number | undefined
  /** For a new directory. */
  readonly newShards: number
  /** What was asked for; `undefined` if the directory decides. */
  readonly replicationFactor: number | undefined
  /** What was asked for; `undefined` for the default of the number of copies. */
  readonly minInSync: number | undefined
  readonly fsync: Fsync
  readonly token: string | undefined
  readonly origins: readonly string[]
  /** `undefined`: none. */
  readonly directPorts: PortRange | undefined
  readonly limits: Readonly<Record<keyof NodeLimitOptions, number>>
  /** 0: none are taken. */
  readonly snapshotsEveryMs: number
  readonly pingTimeoutMs: number
  readonly logger: LogLevel | Logger
}

const OPTION_NAMES: ReadonlySet<string> = new Set<keyof NodeOptions>([
  'dataDir',
  'volumes',
  'lostVolumes',
  'host',
  'port',
  'children',
  'shards',
  'replicationFactor',
  'minInSync',
  'fsync',
  'token',
  'origins',
  'directPorts',
  'limits',
  'snapshots',
  'pingTimeoutMs',
  'logger',
])

/** Throws a `TypeError` that names the option. */
export function resolveOptions(options: NodeOptions): NodeSettings {
  for (const name of Object.keys(options)) {
    if (!OPTION_NAMES.has(name)) throw new TypeError(`there is no option ${name}`)
  }
  const host = options.host ?? DEFAULT_HOST
  const token = resolveToken(options.token)
  if (typeof host !== 'string' || host === '') throw new TypeError('host is not a name or address')
  if (token === undefined && !isLoopback(host)) {
    throw new TypeError(`host ${host} can be reached from elsewhere: set a token`)
  }
  const cores = availableParallelism()
  const shards = options.shards === undefined ? undefined : resolveShards(options.shards)
  const volumes = resolveVolumes(options)
  const { replicationFactor, minInSync } = resolveCopies(options)
  const usualChildren = Math.max(cores, replicationFactor ?? 1)
  const { children } = options
  if (replicationFactor !== undefined) {
    assertRoomForCopies(replicationFactor, volumes.length, children ?? usualChildren)
  }
  return {
    volumes,
    lostVolumes: resolveLostVolumes(options.lostVolumes ?? [], volumes),
    host,
    port: integer('port', options.port ?? DEFAULT_PORT, 0, 65_535),
    children: children === undefined ? undefined : integer('children', children, 1, CHILDREN_MAX),
    usualChildren,
    shards,
    newShards: shards ?? defaultShards(cores),
    replicationFactor,
    minInSync,
    fsync: resolveFsync(options.fsync ?? 'always'),
    token,
    origins: resolveOrigins(options.origins ?? []),
    directPorts: resolvePorts(options.directPorts ?? 'any'),
    limits: resolveLimits(options.limits ?? {}),
    snapshotsEveryMs: resolveSnapshots(options.snapshots ?? {}),
    pingTimeoutMs: integer(
      'pingTimeoutMs',
      options.pingTimeoutMs ?? PING_TIMEOUT_MS_DEFAULT,
      PING_TIMEOUT_MS_MIN,
      TIMEOUT_MS_MAX,
    ),
    logger: resolveLogger(options.logger ?? 'warn'),
  }
}

/** Twice the cores, rounded up to a power of two, at least 16. */
export function defaultShards(cores: number): number {
  const wanted = 2 ** Math.ceil(Math.log2(cores * 2))
  return Math.min(SHARDS_MAX, Math.max(SHARDS_MIN, wanted))
}

function resolveFsync(fsync: unknown): Fsync {
  if (fsync === 'always' || fsync === 'everysec') return fsync
  throw new TypeError(`fsync is always or everysec, not ${String(fsync)}`)
}

function resolveVolumes({ dataDir, volumes }: NodeOptions): readonly string[] {
  if (volumes === undefined) {
    if (isPath(dataDir)) return [resolve(dataDir)]
    throw new TypeError('dataDir is missing: say where the data is to be kept')
  }
  if (dataDir !== undefined) throw new TypeError('either dataDir or volumes, not both')
  if (!Array.isArray(volumes) || volumes.length === 0 || !volumes.every(isPath)) {
    throw new TypeError('volumes is a list of paths, at least one')
  }
  const paths = volumes.map((volume) => resolve(volume))
  if (new Set(paths).size < paths.length) throw new TypeError('volumes names one path twice')
  return paths
}

function resolveLostVolumes(
  lost: readonly string[],
  volumes: readonly string[],
): readonly number[] {
  if (!Array.isArray(lost) || !lost.every(isPath)) {
    throw new TypeError('lostVolumes is a list of paths')
  }
  const indices = new Set(lost.map((path) => volumes.indexOf(resolve(path))))
  if (indices.has(-1)) throw new TypeError('lostVolumes names a path that is not in volumes')
  if (indices.size === volumes.length) throw new TypeError('lostVolumes names every volume')
  return [...indices]
}

function isPath(path: unknown): path is string {
  return typeof path === 'string' && path !== ''
}

function resolveCopies({
  replicationFactor: copies,
  minInSync,
}: NodeOptions): Pick<NodeSettings, 'replicationFactor' | 'minInSync'> {
  if (copies !== undefined) integer('replicationFactor', copies, 1, COPIES_MAX)
  if (minInSync !== undefined) integer('minInSync', minInSync, 1, copies ?? COPIES_MAX)
  return { replicationFactor: copies, minInSync }
}

function resolveShards(shards: number): number {
  integer('shards', shards, 1, SHARDS_MAX)
  if (!Number.isInteger(Math.log2(shards))) {
    throw new TypeError(`shards is a power of two, not ${shards}`)
  }
  return shards
}

function resolveToken(token: unknown): string | undefined {
  if (token === undefined) return undefined
  if (typeof token !== 'string' || token === '') throw new TypeError('token is a non-empty string')
  if (Buffer.byteLength(token) > HELLO_TEXT_BYTES_MAX) {
    throw new TypeError(`token has at most ${HELLO_TEXT_BYTES_MAX} bytes`)
  }
  return token
}

function resolveOrigins(origins: readonly string[]): readonly string[] {
  if (!Array.isArray(origins)) throw new TypeError('origins is a list')
  for (const origin of origins) {
    if (!URL.canParse(origin) || new URL(origin).origin !== origin) {
      throw new TypeError(`origins: ${String(origin)} is not like https://app.example.com`)
    }
  }
  return [...origins]
}

function resolvePorts(ports: unknown): PortRange | undefined {
  if (ports === 'none') return undefined
  if (ports === 'any') return { firstPort: 0, lastPort: 0 }
  const [, first, last] = /^(\d{1,5})-(\d{1,5})$/.exec(String(ports)) ?? []
  const range = { firstPort: Number(first), lastPort: Number(last) }
  if (range.firstPort >= 1 && range.firstPort <= range.lastPort && range.lastPort <= 65_535) {
    return range
  }
  throw new TypeError(`directPorts is any, none, or like 7410-7419, not ${String(ports)}`)
}

function resolveLimits(limits: NodeLimitOptions): NodeSettings['limits'] {
  const large = Number.MAX_SAFE_INTEGER
  return {
    valueBytesMax: integer(
      'limits.valueBytesMax',
      limits.valueBytesMax ?? VALUE_BYTES_MAX,
      1,
      VALUE_BYTES_MAX,
    ),
    overlayBytesMax: integer(
      'limits.overlayBytesMax',
      limits.overlayBytesMax ?? OVERLAY_BYTES_DEFAULT,
      OVERLAY_BYTES_MIN,
      large,
    ),
    historyBytesMax: integer(
      'limits.historyBytesMax',
      limits.historyBytesMax ?? HISTORY_BYTES_DEFAULT,
      0,
      large,
    ),
    historyMsMax: integer(
      'limits.historyMsMax',
      limits.historyMsMax ?? HISTORY_MS_DEFAULT,
      0,
      large,
    ),
    inFlightBytesMax: integer(
      'limits.inFlightBytesMax',
      limits.inFlightBytesMax ?? IN_FLIGHT_BYTES_MAX,
      MESSAGE_BYTES_MAX,
      IN_FLIGHT_BYTES_MAX,
    ),
    connectionsMax: integer(
      'limits.connectionsMax',
      limits.connectionsMax ?? CONNECTIONS_DEFAULT,
      1,
      large,
    ),
  }
}

function resolveSnapshots(snapshots: NodeSnapshotOptions): number {
  const unknown = Object.keys(snapshots).find((name) => name !== 'everyMs')
  if (unknown !== undefined) throw new TypeError(`there is no option snapshots.${unknown}`)
  const { everyMs = 0 } = snapshots
  if (everyMs === 0) return 0
  return integer('snapshots.everyMs', everyMs, SNAPSHOTS_MS_MIN, SNAPSHOTS_MS_MAX)
}

function resolveLogger(logger: LogLevel | Logger): LogLevel | Logger {
  if (isLogLevel(logger)) return logger
  if (typeof logger === 'object' && logger !== null && typeof logger.info === 'function') {
    return logger
  }
  throw new TypeError(`logger is a pino logger or a level, not ${typeof logger}`)
}

function integer(name: string, value: unknown, min: number, max: number): number {
  if (Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max) {
    return value as number
  }
  throw new TypeError(`${name} is a whole number from ${min} to ${max}, not ${String(value)}`)
}
