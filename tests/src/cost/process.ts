/**
 * A process that measures and prints, started by `measure.ts` with the flags that make a measurement
 * of it: nothing here is measured by the clock.
 */
import { GCProfiler, getHeapStatistics } from 'node:v8'
import { childWorkloads } from './child-workloads.js'
import { clientWorkloads } from './client-workloads.js'
import { protocolWorkloads } from './protocol-workloads.js'
import type { Workload } from './workload.js'
import { underWay } from './workload.js'

const collect = (globalThis as unknown as { gc: (options?: { type: 'minor' | 'major' }) => void })
  .gc

const WARM_UP_ROUNDS = 3
const ALLOCATED_ROUNDS = 5
const KEPT_ROUNDS = 8
/** So many that nothing is under way for long enough to be found by two collections, and become old. */
const BATCHES_PER_COLLECTION = 10

function heapBytes(): number {
  return getHeapStatistics().used_heap_size
}

function usedBytes(): number {
  return heapBytes() + getHeapStatistics().external_memory
}

/** Bytes a call allocates: nothing is collected meanwhile. The median of some rounds. */
async function allocated({ round }: Workload): Promise<number> {
  const figures: number[] = []
  for (let measured = 0; measured < ALLOCATED_ROUNDS; measured += 1) {
    collect()
    const profiler = new GCProfiler()
    profiler.start()
    const before = usedBytes()
    const calls = await round()
    const bytes = usedBytes() - before
    if (profiler.stop().statistics.length > 0) throw new Error('something was collected meanwhile')
    figures.push(bytes / calls)
  }
  return figures.toSorted((one, other) => one - other)[ALLOCATED_ROUNDS >> 1]!
}

/**
 * Bytes a call leaves when it is answered and the young generation has been collected, with what was
 * under way at each of the collections before: what they promote by mistake is not found again.
 */
async function kept({ round }: Workload): Promise<number> {
  let batches = 0
  underWay.onBatch = () => {
    batches += 1
    if (batches % BATCHES_PER_COLLECTION === 0) collect({ type: 'minor' })
  }
  await round()
  collect({ type: 'minor' })
  collect({ type: 'minor' })
  // Not what is outside of the heap: it is freed some time after what it belongs to.
  const before = heapBytes()
  const profiler = new GCProfiler()
  profiler.start()
  let calls = 0
  for (let measured = 0; measured < KEPT_ROUNDS; measured += 1) {
    calls += await round()
  }
  underWay.onBatch = ignore
  collect({ type: 'minor' })
  collect({ type: 'minor' })
  const kinds = new Set(profiler.stop().statistics.map(({ gcType }) => gcType))
  if ([...kinds].join() !== 'Scavenge') throw new Error(`collected by ${[...kinds].join()}`)
  return (heapBytes() - before) / calls
}

function ignore(): void {}

const child = await childWorkloads()
const measureOne = process.argv[2] === 'kept' ? kept : allocated
const figures: Record<string, number> = {}
for (const workload of [...protocolWorkloads(), ...(await clientWorkloads()), ...child.workloads]) {
  for (let round = 0; round < WARM_UP_ROUNDS; round += 1) await workload.round()
  figures[workload.name] = Math.round(await measureOne(workload))
}
console.log(JSON.stringify(figures))
await child.end()
process.exit()
