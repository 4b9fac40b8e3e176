/**
 * What watching costs writes: pairs of runs, one with and one without, in turns and in changing
 * order, as the ratio of their throughputs with its spread.
 *
 *   node benchmarks/dist/watch-cost.js [--pairs 20] [--seconds 2] [--watchers 10000]
 *
 * `idle`: nobody watches, in both runs of a pair: how far runs of the same thing differ here.
 * `watched`: 10,000 watchers, each of a key of its own, that nobody writes.
 */
import { parseArgs } from 'node:util'
import type { UntypedClient } from '@kv/client'
import { startKv } from './kv-peer.js'

const IN_FLIGHT = 256
const KEYS = 20_000
const VALUE = 'x'.repeat(90)

const { values } = parseArgs({
  options: {
    pairs: { type: 'string', default: '20' },
    seconds: { type: 'string', default: '2' },
    watchers: { type: 'string', default: '10000' },
  },
})
const pairs = Number(values.pairs)
const seconds = Number(values.seconds)
const watcherCount = Number(values.watchers)

/** Before each measurement, so that what came before it has no part in it. */
const WARM_UP_SECONDS = 1

// A process of its own: what watchers cost their client is not what they cost writes.
const kv = await startKv()
const connect = async (): Promise<UntypedClient> => (await kv.connect()) as UntypedClient
try {
  const writer = await connect()
  await load(writer, 3)
  report('idle against idle', await compare(writer, () => Promise.resolve(() => Promise.resolve())))
  report(
    `${watcherCount} watchers of other keys against none`,
    await compare(writer, () => watchOthers(watcherCount)),
  )
  await writer.close()
} finally {
  await kv.stop()
}

type Stop = () => Promise<unknown>

/** Ratios of throughput, with to without, by pair. */
async function compare(writer: UntypedClient, begin: () => Promise<Stop>): Promise<number[]> {
  const ratios: number[] = []
  for (let pair = 0; pair < pairs; pair += 1) {
    const withFirst = pair % 2 === 0
    const one = await run(writer, withFirst ? begin : undefined)
    const two = await run(writer, withFirst ? undefined : begin)
    ratios.push(withFirst ? one / two : two / one)
  }
  return ratios
}

async function run(
  writer: UntypedClient,
  begin: (() => Promise<Stop>) | undefined,
): Promise<number> {
  const stop = await begin?.()
  await load(writer, WARM_UP_SECONDS)
  const rate = await load(writer, seconds)
  await stop?.()
  return rate
}

/** Durable sets a second. */
async function load(writer: UntypedClient, forSeconds: number): Promise<number> {
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
  return (written * 1_000) / (performance.now() - startedAt)
}

async function watchOthers(count: number): Promise<Stop> {
  const client = await connect()
  await Promise.all(
    Array.from({ length: count }, async (_, index) => {
      const events = client.watch(`other:${index}`)[Symbol.asyncIterator]()
      await events.next()
      events.next().catch(() => undefined)
    }),
  )
  return () => client.close()
}

function report(what: string, ratios: readonly number[]): void {
  const sorted = ratios.toSorted((left, right) => left - right)
  const at = (share: number): string =>
    (sorted[Math.round(share * (sorted.length - 1))] ?? Number.NaN).toFixed(3)
  process.stdout.write(
    `${what}: throughput x ${at(0.5)} (median of ${ratios.length} pairs; ` +
      `quartiles ${at(0.25)} to ${at(0.75)}, all ${at(0)} to ${at(1)})\n`,
  )
}
