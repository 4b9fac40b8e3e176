/**
 * What a run is made of; a seed and these repeat it, as far as processes and disks let themselves be
 * repeated: faults and calls come in the same order, at about the same times.
 */
import { parseArgs } from 'node:util'
import { CANARIES } from '../canaries/canaries.js'

const DIRECT_CLIENTS = ['on', 'off', 'both'] as const
/** `both`: half of them, so that calls of one key come by both ways. */
export type DirectClients = (typeof DIRECT_CLIENTS)[number]

export interface RunSettings {
  readonly seed: number
  readonly seconds: number
  /** Each ends with a kill of everything, an offline check, and a look at all that was written. */
  readonly secondsPerRound: number
  readonly children: number
  readonly shards: number
  readonly clients: number
  readonly cells: number
  readonly lanesPerCell: number
  readonly operationsPerKeys: number
  /** Longest time between two faults; the shortest is 50 ms. */
  readonly gapMsMax: number
  /** Whether children come and go, besides. */
  readonly scales: boolean
  /** The kinds of faults that may come; all if it is left out. */
  readonly kinds: readonly string[] | undefined
  readonly pingTimeoutMs: number
  /** Every key must be readable again so long after the last fault. */
  readonly healingMs: number
  readonly replicationFactor: number
  /** As the node has it if it is left out. */
  readonly minInSync: number | undefined
  readonly fsync: 'always' | 'everysec'
  /** Which clients go straight to the children, where these can be reached. */
  readonly direct: DirectClients
  /** Megabytes of a file system made for the run, which is full at times; 0: none is made. */
  readonly diskMegabytes: number
  /** How often each failpoint is passed, in place of the schedule of faults; `undefined`: never. */
  readonly failpoints: number | undefined
  /** A bug to put in, by its name. */
  readonly canary: string | undefined
  /** Measures how long a node with so many keys takes to serve again, too. */
  readonly report: boolean
  readonly keys: number
  /** Where the faults and all that the node said of itself are written. */
  readonly log: string | undefined
  readonly json: string | undefined
}

export const USAGE = `pnpm faults [options]

  --seed <n>        of faults and calls; a new one if it is left out
  --seconds <n>     of load under faults (default 60)
  --round <n>       seconds until everything is killed, checked and started again (default 15)
  --children <n>    shard children (default 3)
  --shards <n>      (default 8)
  --clients <n>     (default 16)
  --cells <n>       groups of keys worked on at a time (default 512, with --failpoints 64)
  --lanes <n>       calls under way for each (default 8)
  --gap <ms>        longest time between two faults (default 1500)
  --replicas <n>    copies of each shard (default 1)
  --min-in-sync <n> of them that must be in sync for writes (default: as the node has it)
  --fsync <when>    always or everysec (default always)
  --direct <which>  whether clients go past the coordinator: on, off, or both, half of them
                    (default both)
  --scale           the node is told to have more children or fewer, too: from as many as copies to 5
  --disk <n>        puts the node on a file system of so many megabytes that is full at times, where
                    one may be mounted (default 0: none)
  --failpoints <n>  instead of faults by schedule: ends or stops processes at each failpoint, n times
  --canary <name>   puts a known bug into the node, which the run must find; "list" names them;
                    "all", or several with commas between: looks for each, one after the
                    other, for ten minutes at most
  --report          measures failover and restart of a node with many keys, too
  --keys <n>        how many (default 1000000)
  --only <kinds>    only these faults, such as "kill-children,disk"; with --failpoints, only
                    those whose names begin so, such as "snapshot,in-sync"
  --log <file>      writes the faults, and what the node says of itself, there
  --json <file>     writes the figures there, too

Ends with code 1 if a promise was broken, or if anything could not be decided.
`

export function settingsFrom(args: readonly string[]): RunSettings | undefined {
  const { values } = parseArgs({
    args: args.filter((argument) => argument !== '--'),
    options: {
      seed: { type: 'string' },
      seconds: { type: 'string', default: '60' },
      round: { type: 'string', default: '15' },
      children: { type: 'string', default: '3' },
      shards: { type: 'string', default: '8' },
      clients: { type: 'string', default: '16' },
      cells: { type: 'string' },
      lanes: { type: 'string', default: '8' },
      gap: { type: 'string', default: '1500' },
      replicas: { type: 'string', default: '1' },
      'min-in-sync': { type: 'string' },
      fsync: { type: 'string', default: 'always' },
      direct: { type: 'string', default: 'both' },
      disk: { type: 'string', default: '0' },
      failpoints: { type: 'string' },
      canary: { type: 'string' },
      only: { type: 'string' },
      log: { type: 'string' },
      json: { type: 'string' },
      keys: { type: 'string', default: '1000000' },
      scale: { type: 'boolean', default: false },
      report: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return undefined
  const canary = CANARIES[values.canary ?? '']
  return {
    seed: values.seed === undefined ? Date.now() % 2 ** 32 : whole('seed', values.seed),
    seconds: whole('seconds', values.seconds),
    secondsPerRound: whole('round', values.round),
    children: whole('children', values.children),
    shards: whole('shards', values.shards),
    clients: whole('clients', values.clients),
    cells: whole('cells', values.cells ?? String(cellsOf(values))),
    lanesPerCell: whole('lanes', values.lanes),
    operationsPerKeys: 240,
    gapMsMax: whole('gap', values.gap),
    pingTimeoutMs: 1_000,
    // A known bug may well keep shards from being served: that is found, and need not be waited for.
    healingMs: values.canary === undefined ? 60_000 : 15_000,
    replicationFactor: Math.max(whole('replicas', values.replicas), canary?.replicas ?? 1),
    minInSync: optional('min-in-sync', values['min-in-sync']) ?? canary?.minInSync,
    fsync: fsyncOf(values.fsync),
    direct: directOf(values.direct),
    diskMegabytes: whole('disk', values.disk),
    failpoints: optional('failpoints', values.failpoints),
    canary: canaryOf(values.canary),
    scales: values.scale,
    report: values.report,
    keys: whole('keys', values.keys),
    kinds: values.only?.split(','),
    log: values.log,
    json: values.json,
  }
}

function fsyncOf(text: string): RunSettings['fsync'] {
  if (text === 'always' || text === 'everysec') return text
  throw new TypeError(`--fsync is always or everysec, not ${text}`)
}

/** With long values, as a walk has them, few calls fill a log. */
function cellsOf({ failpoints }: { readonly failpoints?: string | undefined }): number {
  return failpoints === undefined ? 512 : 64
}

/** A name that nobody knows would be looked for in vain. */
function canaryOf(text: string | undefined): string | undefined {
  for (const name of text?.split(',') ?? []) {
    const isKnown = name in CANARIES || name === 'list' || name === 'all'
    if (!isKnown) throw new TypeError(`there is no canary ${name}: --canary list names them`)
  }
  return text
}

function directOf(text: string): DirectClients {
  const found = DIRECT_CLIENTS.find((each) => each === text)
  if (found === undefined) throw new TypeError(`--direct is on, off or both, not ${text}`)
  return found
}

function optional(name: string, text: string | undefined): number | undefined {
  return text === undefined ? undefined : whole(name, text)
}

function whole(name: string, text: string): number {
  if (!/^\d{1,10}$/.test(text)) throw new TypeError(`--${name} is a whole number, not ${text}`)
  return Number(text)
}
