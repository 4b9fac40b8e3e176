/**
 * Stores that grow: at each number of keys their calls are measured, and their memory, and how soon they
 * answer again after kill -9. One filling serves all three.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { ContenderName } from './contender-names.js'
import { CORE, shortCount } from './loads/load.js'
import type { Part, PartName, Timing } from './plan.js'
import { RESTARTS, STAGES, STAGES_OF_FACTS } from './plan.js'
import type { CellFigures, Fact, FactFigures } from './report/figures.js'
import { runLoads } from './rounds.js'
import type { Runner } from './rounds.js'

/** What was written last is applied, and its memory given back. */
export const SETTLE_MS = 3_000

export interface Growing extends Runner {
  memoryBytes(): Promise<number | undefined>
  restartMs(keys: number): Promise<number | undefined>
}

export interface GrowthOptions {
  readonly timing: Timing
  readonly runners: ReadonlyMap<ContenderName, Growing>
  readonly say: (line: string) => void
  /** Before memory is looked at. */
  readonly settleMs: number
  /** What there is so far: the last stage takes long, and may break. */
  readonly onStage: (grown: Grown) => Promise<void>
}

export interface Grown {
  readonly cells: readonly CellFigures[]
  readonly memory: readonly FactFigures[]
  readonly restart: readonly FactFigures[]
}

export async function grow(parts: readonly Part[], options: GrowthOptions): Promise<void> {
  const { runners, say } = options
  const wants = (name: PartName): boolean => parts.some((part) => part.name === name)
  const loads = parts.flatMap((part) => part.loads)
  const cells: CellFigures[] = []
  const memory: FactFigures[] = []
  const restart: FactFigures[] = []
  const empty = new Map<ContenderName, number | undefined>()
  for (const [contender, runner] of runners) empty.set(contender, await bytesOf(runner))
  for (const keys of wants('keys') ? STAGES : STAGES_OF_FACTS) {
    const isForFacts = STAGES_OF_FACTS.includes(keys)
    for (const [contender, runner] of runners) {
      say(`growing to ${shortCount(keys)} keys: ${contender}`)
      const missing = await fillOf(runner, keys)
      if (!isForFacts || !wants('memory')) continue
      const figures = { contender, fact: 'bytes a key' as const, keys }
      memory.push(
        missing === undefined
          ? await memoryFigures(figures, {
              runner,
              emptyBytes: empty.get(contender),
              settleMs: options.settleMs,
            })
          : { ...figures, values: [], missing },
      )
    }
    const ofStage = loads.filter(({ load }) => load.keys === keys)
    const onLoad = (): void => say(`calls on ${shortCount(keys)} keys`)
    cells.push(...(await runLoads(ofStage, { ...options, onLoad })))
    for (const [contender, runner] of isForFacts && wants('restart') ? runners : []) {
      say(`kill -9 and start with ${shortCount(keys)} keys: ${contender}`)
      restart.push(await restartFigures(contender, runner, keys))
    }
    await options.onStage({ cells: [...cells], memory: [...memory], restart: [...restart] })
  }
}

async function bytesOf(runner: Growing): Promise<number | undefined> {
  return runner.memoryBytes().catch(() => undefined)
}

/** Why it could not be filled, if that is so. */
async function fillOf(runner: Growing, keys: number): Promise<string | undefined> {
  try {
    await runner.fill(keys, CORE.valueBytes)
  } catch (error) {
    return `failed: ${(error as Error).message}`
  }
  return undefined
}

interface FactOf {
  readonly contender: ContenderName
  readonly fact: Fact
  readonly keys: number
}

interface Looked {
  readonly runner: Growing
  readonly emptyBytes: number | undefined
  readonly settleMs: number
}

async function memoryFigures(
  figures: FactOf,
  { runner, emptyBytes, settleMs }: Looked,
): Promise<FactFigures> {
  await delay(settleMs)
  const bytes = await bytesOf(runner)
  if (bytes === undefined || emptyBytes === undefined) {
    return { ...figures, values: [], missing: 'its memory is not known' }
  }
  return { ...figures, values: [(bytes - emptyBytes) / figures.keys] }
}

async function restartFigures(
  contender: ContenderName,
  runner: Growing,
  keys: number,
): Promise<FactFigures> {
  const figures: FactOf = { contender, fact: 'ms until it answers after kill -9', keys }
  const values: number[] = []
  try {
    for (let time = 0; time < RESTARTS; time += 1) {
      const ms = await runner.restartMs(keys)
      if (ms === undefined) return { ...figures, values, missing: 'can not be killed here' }
      values.push(ms)
    }
  } catch (error) {
    return { ...figures, values, missing: `failed: ${(error as Error).message}` }
  }
  return { ...figures, values }
}
