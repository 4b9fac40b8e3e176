/** Runs parts of the plan: starts their stores, measures, and hands out each part as it ends. */
import { execFileSync } from 'node:child_process'
import { availableParallelism, cpus, release, totalmem, type } from 'node:os'
import type { ContenderName } from './contender-names.js'
import type { Grown } from './growth.js'
import { grow, SETTLE_MS } from './growth.js'
import { labelOf } from './loads/load.js'
import type { Part, PartName, Timing } from './plan.js'
import { contendersOf, GROWING } from './plan.js'
import type { FactFigures, Machine, Participant, PartFigures } from './report/figures.js'
import { runLoads } from './rounds.js'
import { Stand } from './stand/stand.js'

export interface RunOptions {
  readonly timing: Timing
  readonly say: (line: string) => void
  /** A part that grows stage by stage comes after each of them, with all that it has so far. */
  readonly onPart: (part: PartFigures) => Promise<void>
}

/** They share one growth of their stores. */
const OF_GROWTH: ReadonlySet<PartName> = new Set(['keys', 'memory', 'restart'])

export async function runParts(parts: readonly Part[], options: RunOptions): Promise<void> {
  for (const part of parts) if (!OF_GROWTH.has(part.name)) await runPart(part, options)
  const growing = parts.filter(({ name }) => OF_GROWTH.has(name))
  if (growing.length > 0) await runGrowth(growing, options)
}

async function runPart(part: Part, { timing, say, onPart }: RunOptions): Promise<void> {
  const startedAt = performance.now()
  const field = await Field.start(contendersOf(part.loads))
  try {
    const cells = await runLoads(part.loads, {
      timing,
      runners: field.stands,
      onLoad: (load) => say(`${part.name}: ${labelOf(load)}`),
    })
    const { participants } = field
    await onPart({ ...headOf(part, timing, startedAt), participants, cells, facts: [] })
  } finally {
    await field.stop()
  }
}

async function runGrowth(parts: readonly Part[], options: RunOptions): Promise<void> {
  const startedAt = performance.now()
  const field = await Field.start(GROWING)
  try {
    const onStage = async ({ cells, memory, restart }: Grown): Promise<void> => {
      const factsOf: Partial<Record<PartName, readonly FactFigures[]>> = { memory, restart }
      for (const part of parts) {
        await options.onPart({
          ...headOf(part, options.timing, startedAt),
          participants: field.participants,
          cells: part.name === 'keys' ? cells : [],
          facts: factsOf[part.name] ?? [],
        })
      }
    }
    await grow(parts, { ...options, runners: field.stands, settleMs: SETTLE_MS, onStage })
  } finally {
    await field.stop()
  }
}

function headOf(
  part: Part,
  { rounds }: Timing,
  startedAt: number,
): Omit<PartFigures, 'participants' | 'cells' | 'facts'> {
  const commit = commitOfRepository()
  return {
    part: part.name,
    at: new Date().toISOString(),
    seconds: Math.round((performance.now() - startedAt) / 1_000),
    rounds,
    ...(commit === undefined ? {} : { commit }),
  }
}

/** The stores of a part. */
class Field {
  readonly stands: Map<ContenderName, Stand> = new Map()
  readonly participants: Participant[] = []

  static async start(contenders: readonly ContenderName[]): Promise<Field> {
    const field = new Field()
    for (const contender of contenders) {
      const { stand, started } = await Stand.start(contender)
      field.participants.push({ contender, ...started })
      if (stand !== undefined) field.stands.set(contender, stand)
    }
    return field
  }

  async stop(): Promise<void> {
    await Promise.all([...this.stands.values()].map((stand) => stand.stop()))
  }
}

export function machineHere(): Machine {
  return {
    cores: availableParallelism(),
    model: cpus()[0]?.model.trim() ?? 'unknown processor',
    memoryGiB: Math.round(totalmem() / 1_073_741_824),
    system: `${type()} ${release()}`,
    nodeVersion: process.version,
  }
}

function commitOfRepository(): string | undefined {
  try {
    const commit = execFileSync('git', ['rev-parse', '--short=10', 'HEAD'], { encoding: 'utf8' })
    return commit.trim()
  } catch {
    return undefined
  }
}
