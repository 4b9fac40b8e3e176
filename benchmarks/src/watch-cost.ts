/**
 * What watching costs writes: pairs of runs, in changing order, as ratios with their spread. A ratio
 * of 0.98 is 2 % less throughput; one of 1.02 is 2 % more CPU of the node for each write.
 *
 *   node benchmarks/dist/watch-cost.js [--pairs 20] [--seconds 2] [--watchers 10000] [--only <part>]
 *
 * `same`: two nodes of one kind: how far runs of the same thing differ here.
 * `nobody`: a node that nobody watches, against one without the code for it (`without-watching.ts`).
 * `others`: 10,000 watchers, each of a key of its own that nobody writes, against none.
 *
 * In the first two every run has a node of its own: where in memory one happens to be, and what its
 * compiler makes of it, would otherwise be the same in all pairs, and count as the difference.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import type { UntypedClient } from '@kv/client'
import type { KvPeer } from './peers/kv.js'
import { startKv } from './peers/kv.js'

const IN_FLIGHT = 256
const KEYS = 20_000
const VALUE = 'x'.repeat(90)
const WITHOUT_WATCHING = fileURLToPath(new URL('without-watching.js', import.meta.url))

const { values } = parseArgs({
  options: {
    pairs: { type: 'string', default: '20' },
    seconds: { type: 'string', default: '2' },
    watchers: { type: 'string', default: '10000' },
    only: { type: 'string' },
  },
})
const pairs = Number(values.pairs)
const seconds = Number(values.seconds)
const watcherCount = Number(values.watchers)

/** Of a new node, whose code is not compiled yet. */
const FIRST_WARM_UP_SECONDS = 4
/** A change is told of within a few milliseconds. */
const SILENCE_MS = 200
/** Before each measurement, so that what came before it has no part in it. */
const WARM_UP_SECONDS = 1

interface Figures {
  /** Durable sets a second. */
  readonly rate: number
  /** CPU of all processes of the node for one of them, in microseconds; 0 where it is not known. */
  readonly cpuMicros: number
}

/** What is looked at, and what it is compared with. */
type Pair = readonly [subject: () => Promise<Figures>, reference: () => Promise<Figures>]

const PARTS: Record<string, () => Promise<void>> = {
  same: () => compare('the same node, twice', [onUnwatchedNode, onUnwatchedNode]),
  nobody: () =>
    compare('a node that nobody watches, against one that nobody can watch', [
      onUnwatchedNode,
      onUnwatchableNode,
    ]),
  others: compareWatched,
}

const { only } = values
if (only !== undefined && PARTS[only] === undefined) {
  throw new Error(`--only is one of ${Object.keys(PARTS).join(', ')}`)
}
for (const [name, part] of Object.entries(PARTS)) {
  if (only === undefined || only === name) await part()
}

function onUnwatchedNode(): Promise<Figures> {
  return onNewNode([], () => Promise.resolve())
}

function onUnwatchableNode(): Promise<Figures> {
  return onNewNode([WITHOUT_WATCHING], assertUnwatchable)
}

async function onNewNode(
  asModulesAfter: readonly string[],
  assertKind: (client: UntypedClient) => Promise<void>,
): Promise<Figures> {
  const kv = await startKv({ asModulesAfter })
  try {
    const writer = await kv.open()
    await assertKind(writer)
    await load(kv, writer, FIRST_WARM_UP_SECONDS)
    const figures = await load(kv, writer, seconds)
    await writer.close()
    return figures
  } finally {
    await kv.stop()
  }
}

/** What was meant to be taken out could still be there: then two of a kind would be compared. */
async function assertUnwatchable(client: UntypedClient): Promise<void> {
  const events = client.watch('probe')[Symbol.asyncIterator]()
  await events.next()
  const told = events.next()
  await client.set('probe', 1)
  if ((await Promise.race([told, delay(SILENCE_MS, 'silence')])) !== 'silence') {
    throw new Error('a node that should be without watches tells of a change')
  }
  await events.return?.()
}

async function compareWatched(): Promise<void> {
  // A process of its own: what watchers cost their client is not what they cost writes.
  const kv = await startKv()
  try {
    const writer = await kv.open()
    const run = async (): Promise<Figures> => {
      await load(kv, writer, WARM_UP_SECONDS)
      return load(kv, writer, seconds)
    }
    const watched = async (): Promise<Figures> => {
      const watchers = await watchOthers(kv)
      const figures = await run()
      await watchers.close()
      return figures
    }
    await load(kv, writer, FIRST_WARM_UP_SECONDS)
    await compare(`${watcherCount} watchers of other keys against none`, [watched, run])
    await writer.close()
  } finally {
    await kv.stop()
  }
}

async function compare(what: string, [subject, reference]: Pair): Promise<void> {
  const rates: number[] = []
  const costs: number[] = []
  for (let pair = 0; pair < pairs; pair += 1) {
    const isSubjectFirst = pair % 2 === 0
    const first = await (isSubjectFirst ? subject() : reference())
    const second = await (isSubjectFirst ? reference() : subject())
    const [ours, theirs] = isSubjectFirst ? [first, second] : [second, first]
    rates.push(ours.rate / theirs.rate)
    costs.push(ours.cpuMicros / theirs.cpuMicros)
  }
  process.stdout.write(`${what}, ${pairs} pairs\n`)
  process.stdout.write(`  writes a second x ${spreadOf(rates)}\n`)
  process.stdout.write(`  CPU of the node for a write x ${spreadOf(costs)}\n`)
}

async function load(kv: KvPeer, writer: UntypedClient, forSeconds: number): Promise<Figures> {
  const cpuBefore = kv.cpuMs() ?? 0
  const startedAt = performance.now()
  const endAt = startedAt + forSeconds * 1_000
  let written = 0
  const one = async (lane: number): Promise<void> => {
    for (let at = lane; performance.now() < endAt; at = (at + IN_FLIGHT) % KEYS) {
      await writer.set(`written:${at}`, VALUE)
      written += 1
    }
  }
  await Promise.all(Array.from({ length: IN_FLIGHT }, (_, lane) => one(lane)))
  const rate = (written * 1_000) / (performance.now() - startedAt)
  return { rate, cpuMicros: (((kv.cpuMs() ?? 0) - cpuBefore) * 1_000) / written }
}

async function watchOthers(kv: KvPeer): Promise<UntypedClient> {
  const client = await kv.open()
  await Promise.all(
    Array.from({ length: watcherCount }, async (_, index) => {
      const events = client.watch(`other:${index}`)[Symbol.asyncIterator]()
      await events.next()
      events.next().catch(() => undefined)
    }),
  )
  return client
}

/** The median with the error of the mean, then how far all are apart. */
function spreadOf(ratios: readonly number[]): string {
  const sorted = ratios.toSorted((left, right) => left - right)
  const at = (share: number): string =>
    (sorted[Math.round(share * (sorted.length - 1))] ?? Number.NaN).toFixed(3)
  const mean = ratios.reduce((sum, ratio) => sum + ratio, 0) / ratios.length
  const variance = ratios.reduce((sum, ratio) => sum + (ratio - mean) ** 2, 0) / (ratios.length - 1)
  const error = Math.sqrt(variance / ratios.length)
  return (
    `${at(0.5)} (mean ${mean.toFixed(3)} ± ${error.toFixed(3)}; ` +
    `quartiles ${at(0.25)} to ${at(0.75)}, all ${at(0)} to ${at(1)})`
  )
}
