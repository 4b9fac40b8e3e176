/**
 * What `kv-node` was asked to do: flags, then `KV_*` variables, then defaults. Pure.
 *
 * Every flag has a variable: `--data-dir` is `KV_DATA_DIR`. Wrong usage throws a `TypeError`, which
 * ends the program with code 2.
 */
import { parseArgs } from 'node:util'
import type { NodeOptions } from '../config.js'
import { DEFAULT_HOST, DEFAULT_PORT } from '../config.js'
import { LOG_LEVELS, isLogLevel } from '../logger.js'

const DATA_DIR_DEFAULT = './data'

export type Command =
  | { readonly type: 'help' }
  | { readonly type: 'version' }
  | { readonly type: 'serve'; readonly options: NodeOptions }
  | { readonly type: 'verify'; readonly volumes: readonly string[] }
  | { readonly type: 'status'; readonly node: RunningNode; readonly isJson: boolean }
  | { readonly type: 'scale'; readonly node: RunningNode; readonly children: number }

/** Where a node that runs is asked. */
export interface RunningNode {
  readonly host: string
  readonly port: number
  readonly token: string | undefined
}

export const HELP: string = `Usage: kv-node [serve] [options]
       kv-node verify [<path> …]
       kv-node status [--json] [--host …] [--port …] [--token …]
       kv-node scale <n> [--host …] [--port …] [--token …]

serve runs a kv node: one coordinator and its shard children. verify checks the data directory of a
node that does not run, or all of its volumes: logs, journals, states and copies against each other.
It changes nothing. status shows what the children and shards of a running node have and do, each figure
of the last second. scale gives it n children while it serves, and ends when nothing is left to move; to
end it earlier stops nothing.

Options (each has a variable, KV_DATA_DIR for --data-dir; the option wins)
  --data-dir <path>   where everything is kept; made if it is not there  (${DATA_DIR_DEFAULT})
  --volumes <list>    in its place: paths on different disks, comma-separated, in an order that
                      never changes; the copies of a shard are on different ones
  --lost-volumes <list>
                      those of them that are gone with what was on them
  --host <address>    address to listen on; any but loopback needs a token  (127.0.0.1)
  --port <number>     port for clients and health checks, 0 for any  (7400)
  --children <n>      shard children to run  (one per core)
  --shards <n>        a power of two, fixed when the directory is created
                      (twice the cores rounded up, at least 16)
  --replication-factor <n>
                      copies of every shard, each in another child; it can only grow
                      (what the directory has; 1 for a new one)
  --min-in-sync <n>   copies in sync below which writes wait  (2, or 1 with one copy)
  --fsync <when>      acknowledge a write once it is on disk: always; or once the system has it, which
                      syncs it within a second: everysec. A power cut then takes back the last
                      second or two of what was acknowledged; killed processes do not  (always)
  --token <text>      what clients must show; better given as KV_TOKEN, since other
                      users of the machine can read command lines
  --origins <list>    web pages that may connect, such as https://app.example.com, comma-
                      separated, besides those of this machine and of the node's own host
  --direct-ports <range>
                      ports on which children take clients by themselves, like 7410-7419; any for any
                      free ones, none for none  (any)
  --ping-timeout <ms> a child that does not answer for so long is replaced  (1000)
  --connections <n>   clients connected at once  (10000)
  --value-bytes <n>   largest value, as stored  (1048576)
  --in-flight-bytes <n>
                      what one connection may have unanswered  (8388608)
  --overlay-bytes <n> memory of each child for what is durable and not yet in the tree  (67108864)
  --history-bytes <n> log kept for watchers that are behind, in bytes  (268435456)
  --history-ms <ms>   how long it is kept at most  (3600000)
  --snapshots-every <ms>
                      with one copy: how often a shard that is written to takes a snapshot, from which
                      a damaged state is built anew; 0 for never  (0)
  --json              of status: for programs
  --log-level <level> ${LOG_LEVELS.join(', ')}  (info)
  --help, --version

GET /livez, /readyz, /stats and /status answer on the same port, and POST /scale?children=<n>. SIGTERM
and SIGINT drain and end with code 0.
Exit codes: 0 ok, 1 failure, 2 wrong usage or configuration, 3 damage found by verify.
`

const FLAGS = {
  'data-dir': { type: 'string' },
  volumes: { type: 'string' },
  'lost-volumes': { type: 'string' },
  host: { type: 'string' },
  port: { type: 'string' },
  children: { type: 'string' },
  shards: { type: 'string' },
  'replication-factor': { type: 'string' },
  'min-in-sync': { type: 'string' },
  fsync: { type: 'string' },
  token: { type: 'string' },
  origins: { type: 'string' },
  'direct-ports': { type: 'string' },
  'ping-timeout': { type: 'string' },
  connections: { type: 'string' },
  'value-bytes': { type: 'string' },
  'in-flight-bytes': { type: 'string' },
  'overlay-bytes': { type: 'string' },
  'history-bytes': { type: 'string' },
  'history-ms': { type: 'string' },
  'snapshots-every': { type: 'string' },
  'log-level': { type: 'string' },
  json: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean', short: 'v' },
} as const

type TextFlag = Exclude<keyof typeof FLAGS, 'json' | 'help' | 'version'>

export function readCommandLine(
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): Command {
  const { values, positionals } = parseArgs({
    args: [...args],
    options: FLAGS,
    allowPositionals: true,
  })
  if (values.help === true) return { type: 'help' }
  if (values.version === true) return { type: 'version' }
  const [command = 'serve', ...rest] = positionals
  if (command === 'help') return { type: 'help' }
  if (command === 'verify') return verifyCommand(rest, settingsFrom(values, environment))
  if (command === 'status') {
    refuseMore(rest)
    const node = runningNode(settingsFrom(values, environment))
    return { type: 'status', node, isJson: values.json === true }
  }
  if (command === 'scale') {
    const [text = '', ...more] = rest
    refuseMore(more)
    const children = wholeNumber({ text, source: 'the number of children' })!
    return { type: 'scale', node: runningNode(settingsFrom(values, environment)), children }
  }
  if (command !== 'serve') throw new TypeError(`there is no command ${command}`)
  refuseMore(rest)
  return { type: 'serve', options: serveOptions(settingsFrom(values, environment)) }
}

function refuseMore(rest: readonly string[]): void {
  if (rest.length > 0) throw new TypeError(`what is ${rest[0]} to mean?`)
}

function runningNode(setting: Setting): RunningNode {
  return {
    host: setting('host')?.text ?? DEFAULT_HOST,
    port: wholeNumber(setting('port')) ?? DEFAULT_PORT,
    token: setting('token')?.text,
  }
}

function verifyCommand(paths: readonly string[], setting: Setting): Command {
  if (paths.length > 0) return { type: 'verify', volumes: paths }
  const dataDir = setting('data-dir')?.text ?? DATA_DIR_DEFAULT
  return { type: 'verify', volumes: list(setting('volumes')) ?? [dataDir] }
}

type Setting = (flag: TextFlag) => Given | undefined

interface Given {
  readonly text: string
  /** As the user wrote it, for messages. */
  readonly source: string
}

/** Looks a setting up: the flag, then the variable. An empty variable counts as none. */
function settingsFrom(
  values: Readonly<Partial<Record<TextFlag, string>>>,
  environment: Readonly<Record<string, string | undefined>>,
): Setting {
  return (flag) => {
    const value = values[flag]
    if (value !== undefined) return { text: value, source: `--${flag}` }
    const variable = `KV_${flag.toUpperCase().replaceAll('-', '_')}`
    const text = environment[variable]
    return text === undefined || text === '' ? undefined : { text, source: variable }
  }
}

function serveOptions(setting: Setting): NodeOptions {
  const volumes = list(setting('volumes'))
  return {
    ...(volumes === undefined
      ? { dataDir: setting('data-dir')?.text ?? DATA_DIR_DEFAULT }
      : { dataDir: setting('data-dir')?.text, volumes }),
    lostVolumes: list(setting('lost-volumes')),
    host: setting('host')?.text,
    port: wholeNumber(setting('port')),
    children: wholeNumber(setting('children')),
    shards: wholeNumber(setting('shards')),
    replicationFactor: wholeNumber(setting('replication-factor')),
    minInSync: wholeNumber(setting('min-in-sync')),
    fsync: fsyncOf(setting('fsync')),
    token: setting('token')?.text,
    origins: list(setting('origins')),
    directPorts: setting('direct-ports')?.text,
    pingTimeoutMs: wholeNumber(setting('ping-timeout')),
    limits: {
      connectionsMax: wholeNumber(setting('connections')),
      valueBytesMax: wholeNumber(setting('value-bytes')),
      inFlightBytesMax: wholeNumber(setting('in-flight-bytes')),
      overlayBytesMax: wholeNumber(setting('overlay-bytes')),
      historyBytesMax: wholeNumber(setting('history-bytes')),
      historyMsMax: wholeNumber(setting('history-ms')),
    },
    snapshots: { everyMs: wholeNumber(setting('snapshots-every')) },
    logger: logLevel(setting('log-level')),
  }
}

function list(given: Given | undefined): string[] | undefined {
  return given?.text.split(',').map((item) => item.trim())
}

function wholeNumber(given: Given | undefined): number | undefined {
  if (given === undefined) return undefined
  if (!/^\d{1,15}$/.test(given.text)) {
    throw new TypeError(`${given.source} is a whole number, not ${given.text}`)
  }
  return Number(given.text)
}

function fsyncOf(given: Given | undefined): NodeOptions['fsync'] {
  if (given === undefined) return undefined
  const { text, source } = given
  if (text === 'always' || text === 'everysec') return text
  throw new TypeError(`${source} is always or everysec, not ${text}`)
}

function logLevel(given: Given | undefined): NonNullable<NodeOptions['logger']> {
  if (given === undefined) return 'info'
  if (isLogLevel(given.text)) return given.text
  throw new TypeError(`${given.source} is one of ${LOG_LEVELS.join(', ')}, not ${given.text}`)
}
