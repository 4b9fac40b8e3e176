/**
 * What scaling costs those who call meanwhile: a node of two children goes to five and back, again and
 * again, under reads and writes of random keys from a process of their own.
 *
 *   node benchmarks/dist/scale-cost.js [--rounds 3] [--in-flight 64] [--keys 100000] [--copies 1]
 *
 * `quiet` is the node at rest between two scales, `moving` from a call of `scale` until it has settled.
 */
import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { createClient } from '@kv/client'
import { startNode } from '@kv/node'

const VALUE = 'x'.repeat(90)
const FEW = 2
const MANY = 5
const REST_MS = 2_000
const QUIET_MS = 3_000

type Phase = 'quiet' | 'moving' | 'rest'

/** What the loading process says when it is told to end. */
interface Times {
  readonly failed: number
  readonly readMs: Record<Phase, number[]>
  readonly writeMs: Record<Phase, number[]>
}

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    'in-flight': { type: 'string', default: '64' },
    keys: { type: 'string', default: '100000' },
    copies: { type: 'string', default: '1' },
    load: { type: 'string' },
  },
})
if (values.load === undefined) await measure()
else await load(values.load)

async function measure(): Promise<void> {
  const dataDir = await mkdtemp(join(tmpdir(), 'kv-scale-cost-'))
  const node = await startNode({
    dataDir,
    port: 0,
    children: FEW,
    shards: 16,
    replicationFactor: Number(values.copies),
  })
  const moveMs: number[] = []
  const scaleMs: number[] = []
  node.on('move', ({ durationMs }) => moveMs.push(durationMs))
  const flags = ['--load', node.url, '--in-flight', values['in-flight'], '--keys', values.keys]
  const loader = fork(fileURLToPath(import.meta.url), flags)
  try {
    await once(loader, 'message')
    for (let round = 0; round < Number(values.rounds) * 2; round += 1) {
      await phase(loader, 'rest', REST_MS)
      await phase(loader, 'quiet', QUIET_MS)
      loader.send('moving')
      const startedAt = performance.now()
      await node.scale(round % 2 === 0 ? MANY : FEW)
      scaleMs.push(performance.now() - startedAt)
    }
    loader.send('end')
    const [times] = (await once(loader, 'message')) as [Times]
    report(times, moveMs, scaleMs)
  } finally {
    loader.kill()
    await node.close()
    await rm(dataDir, { recursive: true, force: true })
  }
}

async function phase(loader: ChildProcess, name: Phase, ms: number): Promise<void> {
  loader.send(name)
  await delay(ms)
}

function report(times: Times, moveMs: number[], scaleMs: number[]): void {
  const lines = (['quiet', 'moving'] as const).flatMap((name) => [
    `${name}: get ${figures(times.readMs[name])}`,
    `${name}: set ${figures(times.writeMs[name])}`,
  ])
  lines.push(
    `shard without a primary in a move: ${figures(moveMs)}`,
    `scale: ${figures(scaleMs)}`,
    `failed calls: ${times.failed}`,
  )
  process.stdout.write(`${lines.join('\n')}\n`)
}

function figures(timesMs: readonly number[]): string {
  const sorted = timesMs.toSorted((one, other) => one - other)
  const at = (share: number): string =>
    (sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN).toFixed(
      1,
    )
  return `p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, most ${at(1)} ms (${sorted.length})`
}

async function load(url: string): Promise<void> {
  const client = createClient({ url, timeout: 30_000 })
  const empty = (): Record<Phase, number[]> => ({ quiet: [], moving: [], rest: [] })
  const readMs = empty()
  const writeMs = empty()
  let now: Phase | 'end' = 'rest'
  let failed = 0
  process.on('message', (message) => {
    now = message as typeof now
  })
  const lane = async (number: number): Promise<void> => {
    const isReader = number % 2 === 0
    while (now !== 'end') {
      const key = `key:${Math.floor(Math.random() * Number(values.keys))}`
      const during = now
      const startedAt = performance.now()
      try {
        await (isReader ? client.get(key) : client.set(key, VALUE))
      } catch {
        failed += 1
      }
      const kind = isReader ? readMs : writeMs
      kind[during].push(performance.now() - startedAt)
    }
  }
  await client.connect()
  process.send?.('loading')
  await Promise.all(Array.from({ length: Number(values['in-flight']) }, (_, index) => lane(index)))
  await client.close()
  // A large message takes its time.
  process.send?.({ failed, readMs, writeMs } satisfies Times, () => process.disconnect())
}
