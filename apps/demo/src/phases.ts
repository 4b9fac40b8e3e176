/**
 * The phases of the demo. Each prints a heading and a few lines; those that check something return
 * whether it was right.
 */
import type { ReadStream } from 'node:tty'
import type { KvClient } from '@kv/client'
import type { Failover, KvNode } from '@kv/node'
import type { Catalog, City, CitySchema } from './cities.js'
import { cityKey } from './cities.js'
import { table } from './columns.js'
import { killOneChild } from './failover.js'
import { counted, milliseconds, whole } from './figures.js'
import { loadCities, loadNames } from './load.js'
import { measureCalls } from './meter.js'
import { withProgress } from './progress.js'
import type { MeasuredCalls } from './report.js'
import { settledStats } from './settled-stats.js'
import { childTable, latencyTable, mismatchLines, shardGrid } from './report.js'
import { search, searchCatalog } from './search.js'
import type { Terminal } from './terminal.js'
import { TypeAhead, countryName } from './type-ahead.js'
import type { Verification } from './verify.js'
import { verify } from './verify.js'

const MEASURE_MS = 500
const CALLS_IN_FLIGHT = [1, 64] as const
const SEARCHES = ['sao', 'zur', 'new y', 'старо'] as const
const SEARCH_CITIES_SHOWN = 2

export interface Stage {
  readonly catalog: Catalog
  readonly node: KvNode
  readonly kv: KvClient<CitySchema>
  readonly terminal: Terminal
  readonly signal: AbortSignal
  /** Cities that were in the directory before the demo came. */
  readonly existing: number
}

/** Says what was there before. A city that is not right is no failure yet: the load writes it. */
export async function meetExisting(stage: Stage): Promise<void> {
  const { existing, terminal } = stage
  if (existing === 0) return
  terminal.heading('Data from before')
  terminal.line(`${counted(existing, 'city', 'cities')} found in the directory`)
  const { verified, cities } = await readBack(stage)
  terminal.line(`${whole(verified)} of ${whole(cities)} cities verified; loading them again`)
}

export async function load({ kv, catalog, terminal, signal }: Stage): Promise<void> {
  terminal.heading('Load')
  const unit = 'writes'
  const cities = { label: 'cities', total: catalog.cities.length, unit }
  await withProgress(terminal, cities, async (progress) => {
    await loadCities(kv, catalog, { signal, progress })
  })
  const names = { label: 'names', total: catalog.names.size, unit }
  await withProgress(terminal, names, async (progress) => {
    await loadNames(kv, catalog, { signal, progress })
  })
}

/** Single calls, each timed from the call to its answer. A write repeats what is stored. */
export async function measure({ kv, catalog, node, terminal, signal }: Stage): Promise<void> {
  const anyCity = (): City => {
    return catalog.cities[Math.floor(Math.random() * catalog.cities.length)] as City
  }
  const calls = {
    set: async () => {
      const city = anyCity()
      await kv.set(cityKey(city.cityId), city, { signal })
    },
    get: async () => {
      await kv.get(cityKey(anyCity().cityId), { signal })
    },
  }
  terminal.heading('Measure')
  const measured: MeasuredCalls[] = []
  for (const [kind, call] of Object.entries(calls)) {
    terminal.pass('waiting until the children have nothing left to do')
    await settledStats(node, signal)
    for (const inFlight of CALLS_IN_FLIGHT) {
      const name = `${kind}, ${inFlight} in flight`
      terminal.pass(name)
      const latencies = await measureCalls(call, { inFlight, durationMs: MEASURE_MS, signal })
      measured.push({ name, latencies })
    }
  }
  print(terminal, latencyTable(measured))
  terminal.quiet('from the call to its answer; a write is on disk before it is answered')
}

export async function inspect({ node, terminal, signal }: Stage): Promise<void> {
  const topology = node.topology()
  const stats = await settledStats(node, signal)
  terminal.heading('Children and shards')
  print(terminal, childTable(topology, stats))
  terminal.write('\n')
  print(terminal, shardGrid(topology, stats, terminal.columns))
}

/** Every key the demo wrote has what was written, and there are no others. */
export async function verifyAll(stage: Stage): Promise<boolean> {
  const { kv, catalog, terminal, signal, existing } = stage
  terminal.heading('Verify')
  const isVerified = judge(terminal, await readBack(stage))
  const counts = await Promise.all([
    kv.count({ prefix: 'city:', signal }),
    kv.count({ prefix: 'name:', signal }),
  ])
  const [cities, names] = counts
  const text = `${whole(cities)} cities and ${whole(names)} names counted`
  const isExact = cities === catalog.cities.length && names === catalog.names.size
  // Data from before may hold cities that were not asked for this time.
  if (isExact || existing > 0) terminal.good(text)
  else terminal.bad(text)
  return isVerified && (isExact || existing > 0)
}

/** Ends a child while everything is being read, and reads everything. */
export async function failOver(stage: Stage): Promise<boolean> {
  const { kv, catalog, node, terminal, signal } = stage
  terminal.heading('Failover')
  const failovers: Failover[] = []
  const stopListening = node.on('failover', (failover) => failovers.push(failover))
  try {
    const { victim, recovery } = await killOneChild(node, kv, catalog.cities, signal)
    const { child, pid, shards } = victim
    terminal.line(
      `SIGKILL to child ${child} (pid ${pid}), which served ${counted(shards, 'shard', 'shards')}`,
    )
    const [verification, recovered] = await Promise.all([readBack(stage), recovery])
    const { readMs, writeMs, repeated, inFlight, wrong } = recovered
    const isVerified = judge(terminal, verification)
    const right = `${whole(inFlight - wrong)} of ${whole(inFlight)} reads in flight answered right`
    if (wrong === 0) terminal.good(right)
    else terminal.bad(right)
    terminal.line(
      `every shard was read again after ${milliseconds(readMs)}, ` +
        `and written again after ${milliseconds(writeMs)}`,
    )
    if (repeated > 0) {
      terminal.line(`${counted(repeated, 'write', 'writes')} lost their answer and were sent again`)
    }
    terminal.line(heirs(failovers.filter(({ from }) => from === child)))
    return isVerified && wrong === 0
  } finally {
    stopListening()
  }
}

/** What the node says of the same event: who serves the shards now. */
function heirs(failovers: readonly Failover[]): string {
  const children = [...new Set(failovers.map(({ to }) => to))].sort((a, b) => a - b)
  const absenceMs = Math.max(0, ...failovers.map(({ durationMs }) => durationMs))
  const shards = counted(failovers.length, 'shard', 'shards')
  const noun = children.length === 1 ? 'child' : 'children'
  const list = new Intl.ListFormat('en').format(children.map(String))
  const longest = milliseconds(absenceMs)
  return `${shards} served again by ${noun} ${list}, none away for more than ${longest}`
}

/** The page lives as long as the demo does. */
export function showPage({ terminal }: Stage, url: string): void {
  terminal.heading('Page')
  terminal.line(`${url} in your browser: search, change a record, see every shard at work`)
}

export async function typeCities(stage: Stage, keyboard: ReadStream): Promise<void> {
  const { kv, terminal, signal } = stage
  terminal.heading('Type-ahead')
  await new TypeAhead(kv, terminal).run(keyboard, signal)
}

/** A few searches as somebody would type them; each must find what the package has. */
export async function findCities(stage: Stage): Promise<boolean> {
  const { kv, catalog, terminal, signal, existing } = stage
  terminal.heading('Type-ahead')
  const rows: string[][] = []
  let isGood = true
  for (const typed of SEARCHES) {
    const limit = SEARCH_CITIES_SHOWN
    const found = await search(kv, typed, { limit, signal })
    const { total } = searchCatalog(catalog, typed, limit)
    const isRight = existing > 0 ? found.total >= total : found.total === total
    const cities = found.cities
      .map(({ name, country }) => `${name}, ${countryName(country)}`)
      .join(' · ')
    const count = counted(found.total, 'city', 'cities')
    rows.push([typed, count, milliseconds(found.elapsedMs), cities])
    if (!isRight) rows.push(['', `not ${whole(total)}`, '', ''])
    isGood &&= isRight
  }
  for (const line of table(rows, ['left', 'right', 'right', 'left'])) terminal.line(line)
  return isGood
}

async function readBack({ kv, catalog, terminal, signal }: Stage): Promise<Verification> {
  const total = catalog.cities.length + catalog.names.size
  const work = { label: 'keys', total, unit: 'reads' }
  return withProgress(terminal, work, async (progress) => {
    const verification = await verify(kv, catalog, { signal, progress })
    return verification
  })
}

function judge(terminal: Terminal, verification: Verification): boolean {
  const { cities, verified, mismatches } = verification
  const text = `${whole(verified)} of ${whole(cities)} cities verified`
  if (mismatches.length === 0) terminal.good(text)
  else terminal.bad(text)
  for (const line of mismatchLines(verification)) terminal.line(`  ${line}`)
  return mismatches.length === 0
}

/** The first line is the heading of a table. */
function print(terminal: Terminal, [heading = '', ...lines]: readonly string[]): void {
  terminal.quiet(heading)
  for (const line of lines) terminal.line(line)
}
