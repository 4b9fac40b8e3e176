/**
 * One round: load under faults, then quiet, a look at every key, a kill of everything, an offline
 * check of what is on disk, and a look at every key again. The verdict is on all of it together.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { UntypedClient } from '@kv/client'
import type { SeededRandom } from '../../load/seeded-random.js'
import { runProgram } from '../../scene/node-process.js'
import type { History } from '../history/history.js'
import type { Found, Operation } from '../history/operation.js'
import { keysOf } from '../history/operation.js'
import { judge } from '../history/oracles.js'
import { check, explain } from '../linearizability/check.js'
import { Nemesis } from '../nemesis/nemesis.js'
import type { NodeUnderFault } from '../nemesis/node-under-fault.js'
import type { TcpProxy } from '../nemesis/tcp-proxy.js'
import { perform } from '../workload/perform.js'
import { Workload } from '../workload/workload.js'
import type { Findings } from './report.js'
import type { RunSettings } from './settings.js'

export interface RoundPorts {
  readonly node: NodeUnderFault
  readonly proxy: TcpProxy
  readonly clients: readonly UntypedClient[]
  readonly history: History
  readonly random: SeededRandom
  readonly onPrimaryKilled: (shard: number) => void
  readonly onFault: () => void
}

export interface RoundResult {
  readonly loadMs: number
  readonly cuts: number
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
  const { node, proxy, clients, history, random, onPrimaryKilled, onFault } = ports
  const startedAt = performance.now()
  const { cells, lanesPerCell, operationsPerKeys: operationsMax, gapMsMax, healingMs } = settings
  const options = { prefix: `r${number}.`, cells, lanesPerCell, operationsMax }
  const workload = new Workload(clients, history, options, random)
  const nemesis = new Nemesis({ node, proxy, random, gapMsMax, onPrimaryKilled, onFault })
  const problems: string[] = []
  const trouble = nemesis.run().catch((error: unknown) => {
    problems.push(`the node could not be started again: ${String(error)}`)
  })
  await delay(settings.secondsPerRound * 1_000)
  nemesis.end()
  await trouble
  const loadMs = performance.now() - startedAt
  await workload.end().catch((error: unknown) => {
    problems.push(`a call failed as no call may: ${String(error)}`)
  })
  const keys = [...new Set(history.operations.flatMap(({ action }) => keysOf(action)))]
  await readAll(keys, clients, history, healingMs)
  const damage = await cutPower(node)
  const last = await readAll(keys, clients, history, healingMs)
  const operations = history.take()
  if (last === undefined) problems.push('not every key could be read after the last fault')
  const verdict = judgeAll(operations, last)
  return {
    loadMs,
    cuts: nemesis.cuts,
    ...verdict,
    findings: { ...verdict.findings, damage, problems },
  }
}

/** Kills everything, checks the data directory, starts again. Returns what the check found. */
async function cutPower(node: NodeUnderFault): Promise<string[]> {
  await node.killAll()
  const { code, output, log } = await runProgram(['verify', node.directory])
  await node.start()
  return code === 0 ? [] : [`kv-node verify ended with ${code}:\n${output}${log}`]
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
