/**
 * The stores of a part take turns: in each round everyone runs the same load, one after another, and the
 * next round begins with the next of them. What else happens on the machine hits all alike then, and how
 * far the rounds of one are apart says how much that was.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { ContenderName } from './contender-names.js'
import type { Load, Measurement } from './loads/load.js'
import { writes } from './loads/load.js'
import type { PlannedLoad, Timing } from './plan.js'
import type { CellFigures } from './report/figures.js'
import type { Ran } from './stand/commands.js'

/** What a stand does here. */
export interface Runner {
  fill(keys: number, valueBytes: number): Promise<void>
  run(load: Load, seconds: number, seed: number): Promise<Ran>
}

export interface RoundsOptions {
  readonly timing: Timing
  /** Those that could be started. */
  readonly runners: ReadonlyMap<ContenderName, Runner>
  readonly onLoad?: (load: Load) => void
}

interface Cell {
  readonly contender: ContenderName
  readonly runner: Runner
  readonly rounds: Measurement[]
  missing?: string
}

const FIRST_SEED = 2_463_534_242
const SEEDS_APART = 7_919

/** A store that fails a cell, or has no call for it, takes no further part in that load. */
export async function runLoads(
  plan: readonly PlannedLoad[],
  options: RoundsOptions,
): Promise<CellFigures[]> {
  const warm = new Set<string>()
  const figures: CellFigures[] = []
  for (const { load, contenders } of plan) {
    options.onLoad?.(load)
    const cells = contenders.flatMap((contender): Cell[] => {
      const runner = options.runners.get(contender)
      return runner === undefined ? [] : [{ contender, runner, rounds: [] }]
    })
    for (const cell of cells) {
      const operation = `${cell.contender} ${load.kind}`
      await attempt(cell, () => prepare(cell, load, warm.has(operation), options.timing))
      warm.add(operation)
    }
    for (let round = 0; round < options.timing.rounds; round += 1) {
      for (const cell of rotated(cells, round)) {
        await attempt(cell, () => measure(cell, load, round, options.timing))
      }
    }
    for (const { contender, rounds, missing } of cells) {
      const why = missing === undefined ? {} : { missing }
      figures.push({ contender, load, rounds: missing === undefined ? rounds : [], ...why })
    }
  }
  return figures
}

async function prepare(cell: Cell, load: Load, isWarm: boolean, timing: Timing): Promise<void> {
  await cell.runner.fill(load.keys, load.valueBytes)
  if (isWarm) return
  const ran = await cell.runner.run(load, timing.warmUpSeconds, FIRST_SEED)
  if ('noCall' in ran) cell.missing = ran.noCall
  else if (writes(load)) await delay(timing.restSeconds * 1_000)
}

async function measure(cell: Cell, load: Load, round: number, timing: Timing): Promise<void> {
  const seed = FIRST_SEED + round * SEEDS_APART
  await cell.runner.run(load, timing.beforeSeconds, seed + 1)
  const seconds = writes(load) ? timing.writeSeconds : timing.readSeconds
  const ran = await cell.runner.run(load, seconds, seed)
  if ('noCall' in ran) cell.missing = ran.noCall
  else cell.rounds.push(ran)
  if (writes(load)) await delay(timing.restSeconds * 1_000)
}

async function attempt(cell: Cell, work: () => Promise<void>): Promise<void> {
  if (cell.missing !== undefined) return
  try {
    await work()
  } catch (error) {
    cell.missing = `failed: ${(error as Error).message}`
  }
}

/** The same in the same circle, beginning one further each round. */
export function rotated<T>(all: readonly T[], round: number): T[] {
  const first = all.length === 0 ? 0 : round % all.length
  return [...all.slice(first), ...all.slice(0, first)]
}
