/**
 * One round: load under faults, then quiet, a look at every key, a kill of everything, an offline
 * check of what is on disk, and a look at every key again. The verdict is on all of it together.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { UntypedClient } from '@kv/client'
import type { SeededRandom } from '../../load/seeded-random.js'
import { runProgram } from '../../scene/node-process.js'
import { keysOfShard } from '../../scene/placement.js'
import { until } from '../../scene/until.js'
import type { History } from '../history/history.js'
import type { Found, Operation } from '../history/operation.js'
import { keysOf } from '../history/operation.js'
import { judge } from '../history/oracles.js'
import { WatchRecorder } from '../history/watch-recorder.js'
import { check, explain } from '../linearizability/check.js'
import { isSetAside } from '../nemesis/file-damage.js'
import type { Harm, NodeUnderFault } from '../nemesis/node-under-fault.js'
import { LONG_PREFIX, padded } from '../workload/padding.js'
import { perform } from '../workload/perform.js'
import { Workload } from '../workload/workload.js'
import type { Findings } from './report.js'
import type { RunSettings } from './settings.js'

export interface RoundPorts {
  readonly node: NodeUnderFault
  readonly clients: readonly UntypedClient[]
  /** Each follows everything, by a way of its own. */
  readonly watchers: readonly UntypedClient[]
  readonly history: History
  readonly random: SeededRandom
  readonly trouble: Trouble
}

/** What befalls the node during a round. */
export interface Trouble {
  readonly cuts: number
  readonly diskFaults: number
  /** Files of copies that were damaged. */
  readonly damages?: readonly Harm[]
  /** Failpoints that nobody passed. */
  readonly missed?: readonly string[]
  /** Resolves when it is over: after `end`, or by itself. */
  run(): Promise<void>
  /** Absent if it ends by itself. */
  end?(): void
}

export interface RoundResult {
  readonly loadMs: number
  readonly cuts: number
  readonly diskFaults: number
  readonly damages: number
  readonly watched: number
  readonly resets: number
  readonly operations: number
  readonly partitions: number
  readonly checkMs: number
  readonly findings: Findings
}

export async function runRound(
  number: number,
  settings: RunSettings,
  ports: RoundPorts,
): Promise<RoundResult> {
  const { node, clients, watchers, history, random, trouble } = ports
  const startedAt = performance.now()
  const { cells, lanesPerCell, operationsPerKeys: operationsMax, healingMs } = settings
  // Points that only a log that grows is passed at are to be passed soon.
  const letter = settings.failpoints === undefined ? 'r' : LONG_PREFIX
  const options = { prefix: `${letter}${number}.`, cells, lanesPerCell, operationsMax }
  const watches = watchers.map((client) => new WatchRecorder(client))
  await until('the watches follow', () => watches.every(({ isFollowing }) => isFollowing))
  const workload = new Workload(clients, history, options, random)
  const problems: string[] = []
  const troubled = trouble.run().catch((error: unknown) => {
    problems.push(`the node does not go on: ${String(error)}`)
  })
  if (trouble.end !== undefined) {
    await delay(settings.secondsPerRound * 1_000)
    trouble.end()
  }
  await troubled
  problems.push(...(trouble.missed ?? []).map((point) => `nobody passed the failpoint ${point}`))
  const loadMs = performance.now() - startedAt
  await workload.end().catch((error: unknown) => {
    problems.push(`a call failed as no call may: ${String(error)}`)
  })
  const keys = [...new Set(history.operations.flatMap(({ action }) => keysOf(action)))]
  const atRest = await readAll(keys, clients, history, healingMs)
  const missing = await unhealed(node, trouble.damages ?? [], healingMs)
  problems.push(...missing)
  const watch = await endWatches(number, watches, ports, atRest, settings).catch(
    (error: unknown) => {
      problems.push(`the end of the watches could not be written: ${String(error)}`)
      return []
    },
  )
  const { told, checked } = await cutPower(node)
  // What was taken from a copy is missing there until it is in order again: that is no damage.
  const damage = missing.length === 0 ? [...told, ...checked] : told
  if (missing.length > 0) problems.push(...checked)
  const last = await readAll(keys, clients, history, healingMs)
  const operations = history.take()
  if (last === undefined) problems.push('not every key could be read after the last fault')
  const verdict = judgeAll(operations, last)
  const sum = (of: (watch: WatchRecorder) => number): number =>
    watches.reduce((total, each) => total + of(each), 0)
  return {
    loadMs,
    cuts: trouble.cuts,
    diskFaults: trouble.diskFaults,
    damages: trouble.damages?.length ?? 0,
    watched: sum(({ eventCount }) => eventCount),
    resets: sum(({ resets }) => resets),
    ...verdict,
    findings: { ...verdict.findings, watch, damage, problems },
  }
}

/** What was damaged must have been noticed, and every copy be in sync again. */
async function unhealed(
  node: NodeUnderFault,
  damages: readonly Harm[],
  healingMs: number,
): Promise<string[]> {
  const problems = damages.flatMap(({ copy, what }) =>
    isSetAside(copy) ? [] : [`nobody noticed the damage: ${what}`],
  )
  try {
    await node.untilWhole(healingMs)
  } catch (error) {
    problems.push(String(error))
  }
  return problems
}

/** Writes once more to every shard, waits until the watches have come so far, and judges them. */
async function endWatches(
  number: number,
  watches: readonly WatchRecorder[],
  { history, watchers }: RoundPorts,
  atRest: ReadonlyMap<string, Found | undefined> | undefined,
  { healingMs, shards }: RunSettings,
): Promise<string[]> {
  const value = `end ${number}`
  const ends = Array.from({ length: shards }, (_, shard) => {
    return keysOfShard(shard, shards, 1, `r${number}.end/`)[0] ?? ''
  })
  try {
    await Promise.all(ends.map(async (key) => watchers[0]?.set(key, padded(value))))
  } catch (error) {
    for (const watch of watches) await watch.stop()
    throw error
  }
  try {
    const areThere = (watch: WatchRecorder): boolean =>
      watch.isFollowing && ends.every((key) => watch.hasSeen(key, value))
    await until('the watches have seen the end', () => watches.every(areThere), healingMs)
  } catch (error) {
    const missing = watches.map((watch, index) => {
      const shardsMissing = ends.flatMap((key, shard) => (watch.hasSeen(key, value) ? [] : [shard]))
      return `watch ${index}: ${watch.eventCount} events, no end of shards ${shardsMissing.join(' ')}`
    })
    return [`${String(error)} (${missing.join('; ')})`]
  } finally {
    for (const watch of watches) await watch.stop()
  }
  return watches.flatMap((watch) => watch.violations(history.operations, atRest ?? new Map()))
}

/**
 * Kills everything, checks the data directory, starts again. Returns what the check found (`checked`),
 * and what the node has found itself (`told`): no fault harms a file that is the only one.
 */
async function cutPower(
  node: NodeUnderFault,
): Promise<{ readonly told: string[]; readonly checked: string[] }> {
  await node.killAll()
  const { code, output, log } = await runProgram(['verify', node.directory])
  await node.start()
  const checked = code === 0 ? [] : [`kv-node verify ended with ${code}:\n${output}${log}`]
  return { told: node.damageTold(), checked }
}

/** Reads every key, into the history; undefined if that is not possible within the time. */
async function readAll(
  keys: readonly string[],
  clients: readonly UntypedClient[],
  history: History,
  healingMs: number,
): Promise<Map<string, Found | undefined> | undefined> {
  const found = new Map<string, Found | undefined>()
  const giveUpAt = performance.now() + healingMs
  const queue = [...keys]
  const lane = async (client: UntypedClient, number: number): Promise<void> => {
    for (let key = queue.pop(); key !== undefined; key = queue.pop()) {
      if (performance.now() > giveUpAt) return
      const action = { type: 'read', key } as const
      const answer = await history.perform(number + 1, action, () => perform(client, action, true))
      if (answer?.type === 'read') found.set(key, answer.found)
      else queue.push(key)
    }
  }
  const lanes = clients.flatMap((client, number) =>
    Array.from({ length: 8 }, () => lane(client, number)),
  )
  await Promise.all(lanes)
  return found.size === keys.length ? found : undefined
}

function judgeAll(
  operations: readonly Operation[],
  last: ReadonlyMap<string, Found | undefined> = new Map(),
): Pick<RoundResult, 'operations' | 'partitions' | 'checkMs'> & {
  findings: Pick<Findings, 'lost' | 'violations' | 'duplicates' | 'versions'>
} {
  const startedAt = performance.now()
  const oracles = judge(operations, last)
  const { partitions, findings } = check(operations)
  return {
    operations: operations.length,
    partitions,
    checkMs: performance.now() - startedAt,
    findings: { ...oracles, violations: findings.map(explain) },
  }
}
