/**
 * `npm run bench`: kv beside its peers, in one run, on this machine.
 *
 * For each load the peers take turns, so that what else happens on the machine hits all alike.
 */
import { writeFile } from 'node:fs/promises'
import { availableParallelism, cpus } from 'node:os'
import { parseArgs } from 'node:util'
import { startKv } from './peers/kv.js'
import type { LoadOptions, Measured } from './load.js'
import { fill, run } from './load.js'
import type { AbsentPeer, Peer, PeerClient } from './peers/peer.js'
import { startRedis } from './peers/redis.js'
import type { AbsentRow, Row } from './report.js'
import { renderTable } from './report.js'

const USAGE = `npm run bench -- [options]

  --seconds <n>    time for each load of sets; gets take a third (default 9)
  --keys <n>       keys, drawn at random (default 100000)
  --value <bytes>  (default 100)
  --children <n>   shard children of kv (default 2)
  --json <file>    write the figures there, too
`

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '9' },
    keys: { type: 'string', default: '100000' },
    value: { type: 'string', default: '100' },
    children: { type: 'string', default: '2' },
    json: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
})

interface Running {
  readonly peer: Peer
  readonly client: PeerClient
  readonly measured: Measured[]
}

function loads(): LoadOptions[] {
  const seconds = Number(values.seconds)
  const common = { keys: Number(values.keys), valueBytes: Number(values.value) }
  return (['get', 'set'] as const).flatMap((operation) =>
    [1, 64, 256].map((inFlight) => ({
      ...common,
      operation,
      inFlight,
      // Sets run long enough to fill and apply the overlay several times.
      seconds: operation === 'get' ? seconds / 3 : seconds,
    })),
  )
}

async function main(): Promise<void> {
  const started: (Peer | AbsentPeer)[] = []
  try {
    started.push(await startKv({ children: Number(values.children) }))
    started.push(await startRedis('always'), await startRedis('none'))
    const rows = await measure(started)
    process.stdout.write(`${machine()}\n\n${renderTable(rows)}\n`)
    if (values.json !== undefined) {
      await writeFile(values.json, JSON.stringify({ machine: machine(), rows }, undefined, 2))
    }
  } finally {
    for (const peer of started) if ('stop' in peer) await peer.stop()
  }
}

async function measure(peers: readonly (Peer | AbsentPeer)[]): Promise<(Row | AbsentRow)[]> {
  const running: Running[] = []
  for (const peer of peers) {
    if ('stop' in peer) running.push({ peer, client: await peer.connect(), measured: [] })
  }
  const plan = loads()
  for (const { client } of running) await fill(client, plan[0] as LoadOptions)
  for (const load of plan) {
    for (const { peer, client, measured } of running) {
      process.stderr.write(`${load.operation}, ${load.inFlight} in flight: ${peer.name}\n`)
      await run(client, { ...load, seconds: 0.5 })
      measured.push(await run(client, load))
    }
  }
  await Promise.all(running.map(({ client }) => client.close()))
  return peers.map((peer) =>
    'stop' in peer
      ? {
          peer: peer.name,
          settings: peer.settings,
          measured: running.find((entry) => entry.peer === peer)?.measured ?? [],
        }
      : { peer: peer.name, absent: peer.absent },
  )
}

function machine(): string {
  const model = cpus()[0]?.model.trim() ?? 'unknown processor'
  return `${availableParallelism()} cores, ${model}, Node.js ${process.version}`
}

if (values.help) process.stdout.write(USAGE)
else await main()
