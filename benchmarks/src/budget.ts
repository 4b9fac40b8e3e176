/** How long a run will take, from the plan and what stores were seen to take for their start and filling. */
import type { ContenderName } from './contender-names.js'
import { estimateOf } from './contender-names.js'
import { writes } from './loads/load.js'
import type { Part, PlannedLoad, Timing } from './plan.js'
import { contendersOf, GROWING, RESTARTS, STAGES, STAGES_OF_FACTS } from './plan.js'

/** Measured with ten million keys: the slowest is a store that reads all it has. */
const RESTART_SECONDS_PER_MILLION = 2
const RESTART_SECONDS = 1
/** A store that stops, and pauses between what is done. */
const STOP_SECONDS = 0.5

export function secondsOf(parts: readonly Part[], timing: Timing): number {
  const growth = new Set(['keys', 'memory', 'restart'])
  const growing = parts.filter(({ name }) => growth.has(name))
  const others = parts.filter(({ name }) => !growth.has(name))
  const sum = others.reduce((seconds, { loads }) => seconds + secondsOfPart(loads, timing), 0)
  return growing.length === 0 ? sum : sum + secondsOfGrowth(growing, timing)
}

function secondsOfPart(loads: readonly PlannedLoad[], timing: Timing): number {
  const started = contendersOf(loads).reduce(
    (seconds, contender) => seconds + estimateOf(contender).startSeconds + STOP_SECONDS,
    0,
  )
  return started + secondsOfFills(loads) + secondsOfCells(loads, timing)
}

function secondsOfFills(loads: readonly PlannedLoad[]): number {
  const filled = new Map<ContenderName, string>()
  let seconds = 0
  for (const { load, contenders } of loads) {
    const state = `${load.keys} ${load.valueBytes}`
    for (const contender of contenders) {
      if (filled.get(contender) === state) continue
      filled.set(contender, state)
      // Large values are as many small ones.
      const share = Math.max(1, load.valueBytes / 1_024)
      seconds += (load.keys * share) / estimateOf(contender).fillKeysPerSecond
    }
  }
  return seconds
}

function secondsOfCells(loads: readonly PlannedLoad[], timing: Timing): number {
  const warm = new Set<string>()
  let seconds = 0
  for (const { load, contenders } of loads) {
    for (const contender of contenders) {
      if (!warm.has(`${contender} ${load.kind}`)) seconds += timing.warmUpSeconds
      warm.add(`${contender} ${load.kind}`)
      const run = writes(load) ? timing.writeSeconds + timing.restSeconds : timing.readSeconds
      seconds += timing.rounds * (timing.beforeSeconds + run)
    }
  }
  return seconds
}

function secondsOfGrowth(parts: readonly Part[], timing: Timing): number {
  const keys = Math.max(...STAGES)
  let seconds = 0
  for (const contender of GROWING) {
    const { startSeconds, fillKeysPerSecond } = estimateOf(contender)
    seconds += startSeconds + STOP_SECONDS + keys / fillKeysPerSecond
    for (const stage of STAGES_OF_FACTS) {
      if (!parts.some(({ name }) => name === 'restart')) break
      seconds += RESTARTS * (RESTART_SECONDS + (stage / 1_000_000) * RESTART_SECONDS_PER_MILLION)
    }
  }
  // Everything is warmed anew at each stage: clients begin anew after a restart.
  for (const stage of STAGES) {
    const loads = parts.flatMap((part) => part.loads).filter(({ load }) => load.keys === stage)
    seconds += secondsOfCells(loads, timing)
  }
  return seconds
}
