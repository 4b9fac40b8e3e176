/**
 * What `kv` was asked to do: flags, then `KV_*` variables, then defaults. Pure.
 *
 * Wrong usage throws a `TypeError`, which ends the program with code 2.
 */
import { parseArgs } from 'node:util'
import { ADDRESS_DEFAULT } from '../address.js'

/** Where the node is, and how long each call may take. */
export interface Target {
  readonly url: string
  readonly token: string | undefined
  readonly timeoutMs: number
}

export type Command =
  | { readonly type: 'help' }
  | { readonly type: 'version' }
  | { readonly type: 'get'; readonly key: string }
  | { readonly type: 'set'; readonly key: string; readonly text: string; readonly how: SetHow }
  | { readonly type: 'delete'; readonly keys: readonly string[] }
  | { readonly type: 'increment'; readonly key: string; readonly by: number }
  | { readonly type: 'list'; readonly range: ListedRange; readonly isKeysOnly: boolean }
  | { readonly type: 'watch'; readonly what: Watched; readonly isInitial: boolean }
  | { readonly type: 'status' }
  | { readonly type: 'scale'; readonly children: number }
  | { readonly type: 'bench'; readonly load: BenchLoad }

export interface SetHow {
  readonly ttlMs: number | undefined
  /** `null`: only if the key is not there. */
  readonly ifVersion: number | null | undefined
}

export interface ListedRange {
  readonly prefix: string
  readonly limit: number | undefined
  readonly reverse: boolean
}

export type Watched = string | { readonly prefix: string }

export interface BenchLoad {
  readonly seconds: number
  readonly inFlight: number
  readonly keys: number
  readonly valueBytes: number
}

export interface Invocation {
  readonly command: Command
  readonly target: Target
  readonly isJson: boolean
}

const TIMEOUT_MS = 10_000
const BENCH = { seconds: 3, inFlight: 256, keys: 10_000, valueBytes: 100 } as const
/** What one client may be made to hold by a typing error. */
const IN_FLIGHT_MAX = 100_000
const VALUE_BYTES_MAX = 1_000_000
const UNITS_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const

export const HELP: string = `Usage: kv get <key>
       kv set <key> <value> [--ttl 90s] [--if-absent | --if-version <n>]
       kv delete <key> …
       kv increment <key> [<by>]
       kv list [<prefix>] [--keys] [--limit <n>] [--reverse]
       kv watch [<key>] [--prefix <prefix>] [--initial]
       kv status
       kv scale <children>
       kv bench [--seconds 3] [--in-flight 256] [--keys 10000] [--value-bytes 100]

A value is text, or any JSON with --json; - reads it from standard input. watch without a key shows
every change and ends with SIGINT. status shows what each child and shard of the node has and does,
scale gives the node so many children while it serves and waits until nothing is left to move. bench
writes and reads keys below kv-bench/, and deletes them afterwards.

Options
  --url <address>   kv://host:port, kvs:// with TLS; KV_URL  (${ADDRESS_DEFAULT})
  --token <text>    what the node asks for; better given as KV_TOKEN, since other users of the
                    machine can read command lines
  --timeout <time>  how long a call may take: 500ms, 10s, 2m  (10s)
  --json            values are given and shown as JSON, results as one JSON document a line. What
                    JSON does not have is shown as the nearest that it has, bytes as base64
  --help, --version

Exit codes: 0 done, 1 not done: no such entry, refused or failed, 2 wrong usage.
`

const FLAGS = {
  url: { type: 'string' },
  token: { type: 'string' },
  timeout: { type: 'string' },
  json: { type: 'boolean' },
  ttl: { type: 'string' },
  'if-absent': { type: 'boolean' },
  'if-version': { type: 'string' },
  prefix: { type: 'string' },
  keys: { type: 'boolean' },
  limit: { type: 'string' },
  reverse: { type: 'boolean' },
  initial: { type: 'boolean' },
  seconds: { type: 'string' },
  'in-flight': { type: 'string' },
  'value-bytes': { type: 'string' },
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean', short: 'v' },
} as const
/** Of `bench`, where it has a number. */
const BENCH_FLAGS = { ...FLAGS, keys: { type: 'string' } } as const

/** Flags that every command takes. */
const SHARED = ['url', 'token', 'timeout', 'json', 'help', 'version']

const FLAGS_OF: Readonly<Record<string, readonly string[]>> = {
  get: [],
  set: ['ttl', 'if-absent', 'if-version'],
  delete: [],
  increment: [],
  list: ['prefix', 'keys', 'limit', 'reverse'],
  watch: ['prefix', 'initial'],
  status: [],
  scale: [],
  bench: ['seconds', 'in-flight', 'keys', 'value-bytes'],
}

type Given = Readonly<Record<string, string | boolean | undefined>>

export function readCommandLine(
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): Invocation {
  const options = args.includes('bench') ? BENCH_FLAGS : FLAGS
  const parsed = parseArgs({ args: withoutSigns(args), options, allowPositionals: true })
  const values: Given = parsed.values
  const [name = 'help', ...rest] = parsed.positionals.map((text) => text.replace(/^\\(?=-\d)/, ''))
  const url = textOf(values['url']) ?? filled(environment['KV_URL']) ?? ADDRESS_DEFAULT
  const token = textOf(values['token']) ?? filled(environment['KV_TOKEN'])
  const timeoutMs = timeIn('--timeout', values['timeout']) ?? TIMEOUT_MS
  const target = { url, token, timeoutMs }
  return { command: commandOf(name, rest, values), target, isJson: values['json'] === true }
}

/** A number below 0 is an operand, not an option: `kv increment stock -3`. */
function withoutSigns(args: readonly string[]): string[] {
  return args.map((each) => (/^-\d/.test(each) ? `\\${each}` : each))
}

function commandOf(name: string, rest: readonly string[], values: Given): Command {
  if (values['help'] === true || name === 'help') return { type: 'help' }
  if (values['version'] === true) return { type: 'version' }
  const own = FLAGS_OF[name]
  if (own === undefined) throw new TypeError(`there is no command ${name}`)
  const foreign = Object.keys(values).find((flag) => !own.includes(flag) && !SHARED.includes(flag))
  if (foreign !== undefined) throw new TypeError(`${name} takes no --${foreign}`)
  switch (name) {
    case 'get':
      return { type: 'get', key: operands(name, rest, ['key'])[0]! }
    case 'set':
      return setCommand(rest, values)
    case 'delete':
      if (rest.length === 0) throw new TypeError('delete takes a key, or several')
      return { type: 'delete', keys: rest }
    case 'increment':
      return incrementCommand(rest)
    case 'list':
      return listCommand(rest, values)
    case 'watch':
      return watchCommand(rest, values)
    case 'scale':
      return {
        type: 'scale',
        children: whole('the number of children', operands(name, rest, ['children'])[0], 1),
      }
    case 'bench':
      return benchCommand(rest, values)
    default:
      operands(name, rest, [])
      return { type: 'status' }
  }
}

function setCommand(rest: readonly string[], values: Given): Command {
  const [key = '', text = ''] = operands('set', rest, ['key', 'value'])
  const isIfAbsent = values['if-absent'] === true
  const version = values['if-version']
  if (isIfAbsent && version !== undefined) {
    throw new TypeError('--if-absent and --if-version: one of them')
  }
  const ifVersion = version === undefined ? undefined : whole('--if-version', version, 1)
  const ttlMs = timeIn('--ttl', values['ttl'])
  return { type: 'set', key, text, how: { ttlMs, ifVersion: isIfAbsent ? null : ifVersion } }
}

function incrementCommand(rest: readonly string[]): Command {
  const [key = '', by = '1'] = operands('increment', rest, ['key'], ['by'])
  const number = Number(by)
  if (by.trim() === '' || !Number.isFinite(number)) throw new TypeError(`${by} is not a number`)
  return { type: 'increment', key, by: number }
}

function listCommand(rest: readonly string[], values: Given): Command {
  const [operand] = operands('list', rest, [], ['prefix'])
  const prefix = operand ?? textOf(values['prefix']) ?? ''
  const limit = values['limit'] === undefined ? undefined : whole('--limit', values['limit'], 1)
  const range = { prefix, limit, reverse: values['reverse'] === true }
  return { type: 'list', range, isKeysOnly: values['keys'] === true }
}

function watchCommand(rest: readonly string[], values: Given): Command {
  const [key] = operands('watch', rest, [], ['key'])
  const prefix = textOf(values['prefix'])
  if (key !== undefined && prefix !== undefined) {
    throw new TypeError('watch takes a key or --prefix, not both')
  }
  const what = key ?? { prefix: prefix ?? '' }
  return { type: 'watch', what, isInitial: values['initial'] === true }
}

function benchCommand(rest: readonly string[], values: Given): Command {
  operands('bench', rest, [])
  const number = (flag: string, otherwise: number, max: number): number =>
    values[flag] === undefined ? otherwise : whole(`--${flag}`, values[flag], 1, max)
  const seconds = number('seconds', BENCH.seconds, 3_600)
  const inFlight = number('in-flight', BENCH.inFlight, IN_FLIGHT_MAX)
  const keys = number('keys', BENCH.keys, 100_000_000)
  const valueBytes = number('value-bytes', BENCH.valueBytes, VALUE_BYTES_MAX)
  return { type: 'bench', load: { seconds, inFlight, keys, valueBytes } }
}

function operands(
  command: string,
  given: readonly string[],
  needed: readonly string[],
  optional: readonly string[] = [],
): readonly string[] {
  const missing = needed[given.length]
  if (missing !== undefined) throw new TypeError(`${command} needs a ${missing}`)
  const [tooMuch] = given.slice(needed.length + optional.length)
  if (tooMuch !== undefined) throw new TypeError(`${command} does not take ${tooMuch} as well`)
  return given
}

function whole(
  what: string,
  text: string | boolean | undefined,
  min: number,
  max = Number.MAX_SAFE_INTEGER,
): number {
  const number = /^\d+$/.test(String(text)) ? Number(text) : Number.NaN
  if (number >= min && number <= max) return number
  throw new TypeError(`${what} is a whole number from ${min} to ${max}, not ${String(text)}`)
}

/** `1500`, `1500ms`, `90s`, `10m`, `12h`, `7d`: milliseconds. */
function timeIn(flag: string, text: string | boolean | undefined): number | undefined {
  if (text === undefined) return undefined
  const [, digits, unit = 'ms'] = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)?$/.exec(String(text)) ?? []
  const ms = Number(digits) * UNITS_MS[unit as keyof typeof UNITS_MS]
  if (ms > 0) return ms
  throw new TypeError(`${flag} is a time like 500ms, 90s, 10m, 12h or 7d, not ${String(text)}`)
}

function textOf(value: string | boolean | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined
}

/** A variable that is set to nothing counts as not set. */
function filled(variable: string | undefined): string | undefined {
  return variable === '' ? undefined : variable
}
