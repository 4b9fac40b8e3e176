/**
 * Ten connections with a thousand watchers each that stop reading, under 50,000 writes a second: the
 * log is their buffer, so the node's memory does not grow with what they miss (P6, P7).
 *
 * Half of the connections stop reading their socket, half read it and do not take the events. The
 * long form: KV_STALLED_SECONDS=60.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { UntypedClient } from '@kv/client'
import { expect, test } from 'vitest'
import type { NodeProcess } from './scene/node-process.js'
import { residentBytes } from './scene/process-table.js'
import { sceneOfTest } from './scene/scene.js'
import { WebSocket } from './scene/web-socket.js'

const SECONDS = Number(process.env['KV_STALLED_SECONDS'] ?? 6)
const CONNECTIONS = 10
const WATCHERS = 1_000
/** While the watchers read and when they stop: what a node needs for writes is not what they cost. */
const WRITES_PER_SECOND = 50_000
const GROWTH_BYTES_MAX = 64 * 1_048_576
const BATCH = 512
const VALUE = 'x'.repeat(90)

type Events = AsyncIterator<{ readonly type: string; readonly value?: unknown }>

test(
  'watchers that stop reading → the node does not grow; they catch up, or are told reset',
  async () => {
    const scene = sceneOfTest()
    const node = await scene.serve({ children: 2 })
    const writer = scene.client({ url: node.url, timeout: 60_000 })
    const sockets: WebSocket[] = []
    class StoppableSocket extends WebSocket {
      constructor(url: string) {
        super(url, { perMessageDeflate: false })
        sockets.push(this)
      }
    }
    const clients = Array.from({ length: CONNECTIONS }, (_, index) =>
      scene.client(
        index % 2 === 0
          ? { url: node.url, WebSocket: StoppableSocket as never }
          : { url: node.url },
      ),
    )
    const watchers = await Promise.all(clients.map((client, index) => watch(client, index)))
    const gate = new Gate()
    const followed = watchers.flat().map((events) => untilEnd(events, gate))
    const { peak: before } = await write(writer, SECONDS * 1_000, node)
    gate.close()
    for (const socket of sockets) socket.pause()
    const { written, peak } = await write(writer, SECONDS * 1_000, node)
    const growth = peak - before
    process.stdout.write(
      `${CONNECTIONS} x ${WATCHERS} stalled watchers, ${written} writes in ${SECONDS} s: ` +
        `node RSS ${mebibytes(before)} → ${mebibytes(peak)} MiB, growth ${mebibytes(growth)} MiB\n`,
    )
    expect(growth).toBeLessThan(GROWTH_BYTES_MAX)
    for (const socket of sockets) socket.resume()
    gate.open()
    await writer.setMany(keys().map((key) => [key, 'end'] as const))
    await Promise.all(followed)
  },
  120_000 + 6_000 * SECONDS,
)

function keys(): string[] {
  return Array.from({ length: CONNECTIONS * WATCHERS }, (_, index) => `watched:${index}`)
}

/** Each watches a key of its own; resolves when all are ready. */
function watch(client: UntypedClient, connection: number): Promise<Events[]> {
  const own = keys().slice(connection * WATCHERS, (connection + 1) * WATCHERS)
  return Promise.all(
    own.map(async (key) => {
      const events = client.watch(key)[Symbol.asyncIterator]() as Events
      await events.next()
      return events
    }),
  )
}

/** Watchers take events while it is open. */
class Gate {
  opened: Promise<void> = Promise.resolve()
  open: () => void = () => undefined

  close(): void {
    this.opened = new Promise((resolve) => {
      this.open = resolve
    })
  }
}

async function untilEnd(events: Events, gate: Gate): Promise<void> {
  for (;;) {
    await gate.opened
    const { value } = await events.next()
    if (value?.value === 'end') break
  }
  await events.return?.()
}

/** Writes watched keys, no faster than is said, and looks at the node's memory meanwhile. */
async function write(
  client: UntypedClient,
  durationMs: number,
  node: NodeProcess,
): Promise<{ written: number; peak: number }> {
  const all = keys()
  const startedAt = performance.now()
  const endAt = startedAt + durationMs
  let written = 0
  let peak = 0
  const inTime = (): Promise<void> => {
    const dueAt = startedAt + (written / WRITES_PER_SECOND) * 1_000
    return delay(Math.max(0, dueAt - performance.now()))
  }
  const one = async (lane: number): Promise<void> => {
    for (let at = lane * BATCH; performance.now() < endAt; at = (at + 4 * BATCH) % all.length) {
      const some = all.slice(at, at + BATCH)
      await client.setMany(some.map((key) => [key, VALUE + written] as const))
      written += some.length
      await inTime()
      if (lane === 0) peak = Math.max(peak, memoryOf(node))
    }
  }
  await Promise.all([0, 1, 2, 3].map(one))
  return { written, peak }
}

function memoryOf(node: NodeProcess): number {
  return [node.pid, ...node.childPids()].reduce((sum, pid) => sum + residentBytes(pid), 0)
}

function mebibytes(bytes: number): string {
  return (bytes / 1_048_576).toFixed(1)
}
