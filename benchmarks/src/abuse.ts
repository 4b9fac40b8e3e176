/**
 * What a node takes: the memory of connections that rest, and what those who behave notice of a hundred
 * that do not.
 *
 *   node benchmarks/dist/abuse.js [--idle 10000] [--seconds 10] [--abusers 100] [--kinds 'slow readers,…']
 *
 * Clients that behave have one call under way each, reads and writes by turns; they and those that do not
 * are processes of their own. Abusers get what CPU time is left (nice 19): this measures what
 * they do to the node, not to the machine. The ratio is of the medians of several pairs of runs.
 */
import type { ChildProcess } from 'node:child_process'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { request } from 'node:http'
import { setPriority } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { createClient } from '@kv/client'
import type { Kind } from './abuse/abusers.js'
import { abuse, KINDS } from './abuse/abusers.js'
import { RawConnection } from './abuse/raw-connection.js'
import { startKv } from './peers/kv.js'

const CLIENTS = 16
const KEYS = 20_000
const VALUE = 'x'.repeat(90)
const LOWEST_PRIORITY = 19
const OPENED_AT_ONCE = 100
const SAMPLE_MS = 200

const { values } = parseArgs({
  options: {
    idle: { type: 'string', default: '10000' },
    seconds: { type: 'string', default: '10' },
    abusers: { type: 'string', default: '100' },
    pairs: { type: 'string', default: '3' },
    kinds: { type: 'string', default: KINDS.join(',') },
    role: { type: 'string' },
    port: { type: 'string', default: '0' },
  },
})
interface Processes {
  readonly coordinator: { readonly pid: number }
  readonly children: readonly { readonly pid: number }[]
}

const known: { processes?: Processes } = {}
const kinds = values.kinds.split(',') as Kind[]
// Nobody goes on without the one that measures.
process.on('disconnect', () => process.exit())
if (values.role === undefined) await measure()
else if (values.role === 'idle') await rest(Number(values.port))
else if (values.role === 'abusers') await abuseAll(Number(values.port))
else await behave(Number(values.port))

interface Times {
  readonly getMs: readonly number[]
  readonly setMs: readonly number[]
  readonly failed: number
}

async function measure(): Promise<void> {
  const kv = await startKv({ connections: Number(values.idle) + 10_000 })
  try {
    const client = await kv.open()
    const port = Number(new URL(kv.url).port)
    await client.setMany(
      Array.from({ length: KEYS }, (_, index) => [`key:${index}`, VALUE] as const),
    )
    await delay(2_500)
    if (Number(values.idle) > 0) await measureIdle(port)
    for (let pair = 0; pair < Number(values.pairs); pair += 1) await measureAbuse(port)
    await client.close()
  } finally {
    await kv.stop()
  }
}

async function measureIdle(port: number): Promise<void> {
  const before = await memoryOf(port)
  const idle = begin('idle', port)
  await once(idle, 'message')
  await delay(3_000)
  const after = await memoryOf(port)
  const each = (name: keyof Memory): string =>
    ((after[name] - before[name]) / Number(values.idle) / 1_024).toFixed(2)
  say(
    `${values.idle} idle connections: coordinator ${mebibytes(before.coordinator)} → ` +
      `${mebibytes(after.coordinator)} MiB, ${each('coordinator')} KiB each; ` +
      `children ${mebibytes(before.children)} → ${mebibytes(after.children)} MiB`,
  )
  say(`with them: ${figures(await behaveFor(port))}`)
  idle.kill()
  await once(idle, 'exit')
  await delay(1_000)
}

async function measureAbuse(port: number): Promise<void> {
  const quiet = await behaveFor(port)
  const abusers = begin('abusers', port)
  setPriority(abusers.pid as number, LOWEST_PRIORITY)
  await delay(2_000)
  let peak = 0
  let isOver = false
  const sampling = (async () => {
    while (!isOver) {
      const { coordinator, children } = await memoryOf(port)
      peak = Math.max(peak, coordinator + children)
      await delay(SAMPLE_MS)
    }
  })()
  const abused = await behaveFor(port)
  isOver = true
  await sampling
  abusers.kill()
  await once(abusers, 'exit')
  say(`quiet:  ${figures(quiet)}`)
  say(`abused: ${figures(abused)}; the node's processes had ${mebibytes(peak)} MiB at most`)
  await delay(3_000)
}

function begin(role: string, port: number): ChildProcess {
  const { seconds, idle, abusers, kinds: names } = values
  const flags = Object.entries({ role, port, seconds, idle, abusers, kinds: names })
  const child = fork(
    fileURLToPath(import.meta.url),
    flags.flatMap(([name, value]) => [`--${name}`, String(value)]),
  )
  child.once('exit', (code) => {
    if (code === null || code === 0) return
    process.stderr.write(`${role} ended with ${code}\n`)
    process.exit(1)
  })
  return child
}

async function behaveFor(port: number): Promise<Times> {
  const behaving = begin('behave', port)
  const [times] = (await once(behaving, 'message')) as [Times]
  await once(behaving, 'exit')
  return times
}

interface Memory {
  readonly coordinator: number
  readonly children: number
}

/** Resident bytes of the node's processes, by its own word of which they are. */
async function memoryOf(port: number): Promise<Memory> {
  const { coordinator, children } = await statsOf(port)
  const sum = children.reduce((bytes, { pid }) => bytes + residentBytes(pid), 0)
  return { coordinator: residentBytes(coordinator.pid), children: sum }
}

/** Asked once: nobody dies here. */
async function statsOf(port: number): Promise<Processes> {
  if (known.processes !== undefined) return known.processes
  const asked = request({ host: '127.0.0.1', port, path: '/stats', agent: false }).end()
  const [response] = (await once(asked, 'response')) as [AsyncIterable<Buffer>]
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk)
  known.processes = JSON.parse(Buffer.concat(chunks).toString()) as Processes
  return known.processes
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
  const each = (_: unknown, index: number): Promise<never> =>
    abuse(kinds[index % kinds.length] as Kind, port)
  await Promise.all(Array.from({ length: Number(values.abusers) }, each))
}

/** The role of clients that behave. */
async function behave(port: number): Promise<void> {
  const getMs: number[] = []
  const setMs: number[] = []
  let failed = 0
  const endAt = performance.now() + Number(values.seconds) * 1_000
  const one = async (_: unknown, number: number): Promise<void> => {
    await using client = createClient({ url: `kv://127.0.0.1:${port}` })
    await client.connect()
    for (let call = 0; performance.now() < endAt; call += 1) {
      const key = `key:${(number * 7_919 + call * 104_729) % KEYS}`
      const isRead = call % 2 === 0
      const startedAt = performance.now()
      try {
        await (isRead ? client.get(key) : client.set(key, VALUE))
      } catch {
        failed += 1
      }
      const times = isRead ? getMs : setMs
      times.push(performance.now() - startedAt)
    }
  }
  await Promise.all(Array.from({ length: CLIENTS }, one))
  process.send?.({ getMs, setMs, failed } satisfies Times, () => process.disconnect())
}

function figures({ getMs, setMs, failed }: Times): string {
  return `get ${quantiles(getMs)}, set ${quantiles(setMs)}, ${failed} failed`
}

function quantiles(timesMs: readonly number[]): string {
  const sorted = timesMs.toSorted((one, other) => one - other)
  const at = (share: number): string =>
    (sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN).toFixed(
      1,
    )
  return `p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, most ${at(1)} ms (${sorted.length})`
}

function mebibytes(bytes: number): string {
  return (bytes / 1_048_576).toFixed(0)
}

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}
