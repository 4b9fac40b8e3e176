/**
 * What a node takes: the memory of connections that rest, and what those who behave notice of a hundred
 * that do not.
 *
 *   node benchmarks/dist/abuse.js [--pairs 5] [--seconds 10] [--abusers 100] [--kinds 'slow readers,…'] [--each]
 *                                 [--rate 1600] [--idle 10000] [--nice 19]
 *
 * Clients that behave (16, all together `rate` calls a second, each with one call under way, reads and writes by
 * turns) are one process, and go on with the same in both halves of a pair: without abusers, then with
 * them. The ratio is that of the two p99, the median of all pairs. `each`: every kind of abuser by itself.
 *
 * Abusers burn their own machines elsewhere; here they have the same two cores as the node. So they get what
 * CPU time nobody else wants (`nice`, as a session of their own: Linux shares time out by session first).
 */
import type { ChildProcess } from 'node:child_process'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { setPriority } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import type { Kind } from './abuse/abusers.js'
import { abuse, KINDS } from './abuse/abusers.js'
import type { Behaviour, Times } from './abuse/behaving.js'
import { behave, fill } from './abuse/behaving.js'
import type { Offered } from './abuse/raw-connection.js'
import { offered, RawConnection } from './abuse/raw-connection.js'
import type { KvPeer } from './peers/kv.js'
import { startKv } from './peers/kv.js'
import { spreadOf } from './statistics.js'

const OPENED_AT_ONCE = 100
const SAMPLE_MS = 200
/** From when on abuse, or the end of it, is what it stays. */
const SETTLE_MS = 2_000

const { values } = parseArgs({
  options: {
    pairs: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '10' },
    abusers: { type: 'string', default: '100' },
    kinds: { type: 'string', default: KINDS.join(',') },
    each: { type: 'boolean', default: false },
    rate: { type: 'string', default: '1600' },
    idle: { type: 'string', default: '10000' },
    nice: { type: 'string', default: '19' },
    role: { type: 'string' },
    port: { type: 'string', default: '0' },
  },
})
// Nobody goes on without the one that measures.
process.on('disconnect', () => process.exit())
if (values.role === undefined) await measure()
else if (values.role === 'idle') await rest(Number(values.port))
else if (values.role === 'abusers') await abuseAll(Number(values.port))
else await behave(Number(values.port))

interface Run {
  readonly times: Times
  /** Of all processes of the node. */
  readonly cpuMs: number
  readonly peakBytes: number
}

async function measure(): Promise<void> {
  const kv = await startKv({ connections: Number(values.idle) + 10_000 })
  try {
    const port = Number(new URL(kv.url).port)
    const client = await kv.open()
    await fill(client)
    await client.close()
    await delay(SETTLE_MS)
    const behaving = begin('behave', port, [])
    await once(behaving, 'message')
    await run(kv, behaving)
    if (Number(values.idle) > 0) await measureIdle(kv, behaving, port)
    const kinds = values.kinds.split(',')
    const rounds = values.each ? kinds.map((kind) => [kind]) : [kinds]
    for (const each of rounds) await measureAbuse(kv, behaving, port, each)
    behaving.kill()
  } finally {
    await kv.stop()
  }
}

async function measureIdle(kv: KvPeer, behaving: ChildProcess, port: number): Promise<void> {
  const before = await memoryOf(port)
  const idle = begin('idle', port, [])
  await once(idle, 'message')
  await delay(SETTLE_MS)
  const after = await memoryOf(port)
  const each = (name: keyof Memory): string =>
    ((after[name] - before[name]) / Number(values.idle) / 1_024).toFixed(2)
  say(
    `${values.idle} idle connections: coordinator ${mebibytes(before.coordinator)} → ` +
      `${mebibytes(after.coordinator)} MiB, ${each('coordinator')} KiB each; ` +
      `children ${mebibytes(before.children)} → ${mebibytes(after.children)} MiB`,
  )
  say(`  with them: ${figures(await run(kv, behaving))}`)
  await end(idle)
  await delay(SETTLE_MS)
}

async function measureAbuse(
  kv: KvPeer,
  behaving: ChildProcess,
  port: number,
  kinds: readonly string[],
): Promise<void> {
  say(`${values.abusers} abusers: ${kinds.join(', ')}`)
  const pairs: { readonly quiet: Run; readonly abused: Run }[] = []
  for (let pair = 0; pair < Number(values.pairs); pair += 1) {
    const quiet = await run(kv, behaving)
    const abusers = begin('abusers', port, kinds)
    await delay(SETTLE_MS)
    const before = await offeredBy(abusers)
    const abused = await run(kv, behaving)
    const after = await offeredBy(abusers)
    await end(abusers)
    say(`  without: ${figures(quiet)}`)
    say(`  with:    ${figures(abused)}; ${offer(before, after)}`)
    pairs.push({ quiet, abused })
    await delay(SETTLE_MS)
  }
  for (const call of ['get', 'set'] as const) {
    for (const name of ['p50Ms', 'p99Ms'] as const) {
      const without = spread(pairs.map(({ quiet }) => quiet.times[call][name]))
      const with_ = spread(pairs.map(({ abused }) => abused.times[call][name]))
      const ratios = pairs.map(
        ({ quiet, abused }) => abused.times[call][name] / quiet.times[call][name],
      )
      const what = `${call} ${name.slice(0, 3)}`
      say(`  ${what}: ${without} ms without, ${with_} ms with them: ${spread(ratios)} times`)
    }
  }
}

/** Lets those who behave go on for a while. */
async function run(kv: KvPeer, behaving: ChildProcess): Promise<Run> {
  const cpuBeforeMs = kv.cpuMs() ?? 0
  const { seconds, rate } = values
  behaving.send?.({ seconds: Number(seconds), rate: Number(rate) } satisfies Behaviour)
  let peakBytes = 0
  const sampling = setInterval(() => {
    peakBytes = Math.max(peakBytes, kv.memoryBytes?.() ?? 0)
  }, SAMPLE_MS)
  const [times] = (await once(behaving, 'message')) as [Times]
  clearInterval(sampling)
  return { times, cpuMs: (kv.cpuMs() ?? 0) - cpuBeforeMs, peakBytes }
}

function begin(role: string, port: number, kinds: readonly string[]): ChildProcess {
  const { idle, abusers, nice } = values
  const flags = Object.entries({ role, port, idle, abusers, nice, kinds: kinds.join(',') })
  const child = fork(
    fileURLToPath(import.meta.url),
    flags.flatMap(([name, value]) => [`--${name}`, String(value)]),
    { detached: role === 'abusers' },
  )
  child.once('exit', (code) => {
    if (code === null || code === 0) return
    process.stderr.write(`${role} ended with ${code}\n`)
    process.exit(1)
  })
  return child
}

async function end(child: ChildProcess): Promise<void> {
  child.kill()
  await once(child, 'exit')
}

async function offeredBy(abusers: ChildProcess): Promise<Offered> {
  abusers.send?.('offered')
  const [now] = (await once(abusers, 'message')) as [Offered]
  return now
}

interface Memory {
  readonly coordinator: number
  readonly children: number
}

/** Resident bytes of the node's processes, by its own word of which they are. */
async function memoryOf(port: number): Promise<Memory> {
  const asked = request({ host: '127.0.0.1', port, path: '/stats', agent: false }).end()
  const [response] = (await once(asked, 'response')) as [AsyncIterable<Buffer>]
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk)
  const { coordinator, children } = JSON.parse(Buffer.concat(chunks).toString()) as {
    readonly coordinator: { readonly pid: number }
    readonly children: readonly { readonly pid: number }[]
  }
  const sum = children.reduce((bytes, { pid }) => bytes + residentBytes(pid), 0)
  return { coordinator: residentBytes(coordinator.pid), children: sum }
}

function residentBytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? 0) * 1_024
}

/** The role of connections that rest. */
async function rest(port: number): Promise<void> {
  const connections: RawConnection[] = []
  while (connections.length < Number(values.idle)) {
    const some = Array.from({ length: OPENED_AT_ONCE }, () => RawConnection.welcome(port))
    connections.push(...(await Promise.all(some)).map(({ raw }) => raw))
  }
  process.send?.('open')
  await delay(600_000)
}

async function abuseAll(port: number): Promise<void> {
  yieldTime()
  process.on('message', () => process.send?.(offered, () => undefined))
  const kinds = values.kinds.split(',') as Kind[]
  const each = (_: unknown, index: number): Promise<never> =>
    abuse(kinds[index % kinds.length] as Kind, port)
  await Promise.all(Array.from({ length: Number(values.abusers) }, each))
}

function yieldTime(): void {
  setPriority(Number(values.nice))
  try {
    writeFileSync('/proc/self/autogroup', values.nice)
  } catch {
    // Only where the kernel groups processes by session it has to be told so.
  }
}

function figures({ times: { get, set, due, made, failed }, cpuMs, peakBytes }: Run): string {
  const of = ({ p50Ms, p99Ms, maxMs }: Times['get']): string =>
    `p50 ${p50Ms.toFixed(1)} p99 ${p99Ms.toFixed(1)} most ${maxMs.toFixed(0)} ms`
  const cpu = (cpuMs / 1_000).toFixed(1)
  return `get ${of(get)}; set ${of(set)}; ${made} of ${due} calls, ${failed} failed; the node had ${cpu} s of CPU, ${mebibytes(peakBytes)} MiB`
}

function offer(before: Offered, after: Offered): string {
  const connections = after.connections - before.connections
  return `they sent ${mebibytes(after.bytes - before.bytes)} MiB, and came ${connections} times`
}

function spread(of: readonly number[]): string {
  const { median, least, most } = spreadOf(of)
  return `${median.toFixed(1)} (${least.toFixed(1)} to ${most.toFixed(1)})`
}

function mebibytes(bytes: number): string {
  return (bytes / 1_048_576).toFixed(0)
}

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}
