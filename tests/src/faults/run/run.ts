/**
 * A run: a node on a directory of its own, clients behind a bad network, and rounds of faults over them.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { UntypedClient } from '@kv/client'
import { createClient } from '@kv/client'
import { SeededRandom } from '../../load/seeded-random.js'
import { freePort } from '../../scene/free-port.js'
import { failpointsOf } from '../failpoints/failpoints.js'
import { SmallDisk } from '../../scene/small-disk.js'
import { environmentWith } from '../inside/environment.js'
import { History } from '../history/history.js'
import { type FaultCounts, type Harm, NodeUnderFault } from '../nemesis/node-under-fault.js'
import type { Fault } from '../nemesis/schedule.js'
import { FailpointWalk, visitsOf } from '../nemesis/failpoint-walk.js'
import { Nemesis } from '../nemesis/nemesis.js'
import { BadNetwork } from '../nemesis/bad-network.js'
import { FailoverProbe } from './failover-probe.js'
import type { Findings, Report } from './report.js'
import { hasPassed, machine } from './report.js'
import { quantile } from './quantile.js'
import { runRound, type RoundResult } from './round.js'
import type { DirectClients, RunSettings } from './settings.js'

const ON_LINES: readonly Fault['type'][] = ['cut', 'hold', 'delay']
/** After so many failpoints everything is checked. */
const VISITS_PER_ROUND = 15
const SIGNALS = ['SIGINT', 'SIGTERM'] as const
const EXIT_INTERRUPTED = 130
const DIRECT_PORTS = 12
const CALL_TIMEOUT_MS = 8_000
/** Clients come back at once: how long they wait is not what is tested here. */
const RECONNECT = { baseMs: 5, maxMs: 100 }
const SERIOUS = /"level":60|unhandled|uncaught/i

export async function run(
  settings: RunSettings,
  onRound: (number: number, result: RoundResult, soFar: FaultCounts) => void,
): Promise<Report> {
  const { diskMegabytes } = settings
  const whyNoDisk = diskMegabytes === 0 ? 'not asked for' : SmallDisk.whyNot()
  const smallDisk = whyNoDisk === undefined ? SmallDisk.mount(diskMegabytes) : undefined
  const directory = smallDisk?.directory ?? (await mkdtemp(join(tmpdir(), 'kv-faults-')))
  const control = await mkdtemp(join(tmpdir(), 'kv-faults-control-'))
  const port = await freePort()
  const directPorts = portsFrom(await freePort())
  const { children, shards, pingTimeoutMs, replicationFactor, minInSync, fsync, canary } = settings
  const node = new NodeUnderFault({
    directory,
    port,
    children,
    shards,
    pingTimeoutMs,
    replicationFactor,
    minInSync,
    fsync,
    directPorts: `${directPorts[0]}-${directPorts.at(-1)}`,
    logLevel: settings.log === undefined ? 'error' : 'info',
    program: fileURLToPath(new URL('../nemesis/node-program.js', import.meta.url)),
    environment: environmentWith({ canary, control }),
  })
  const network = await BadNetwork.start(port, directPorts)
  const nodeUrl = `kv://127.0.0.1:${port}`
  // Half of them have nothing between: the load goes on while lines are held or slow. Of both halves,
  // half may go straight to the children.
  const clients = Array.from({ length: settings.clients }, (_, index) =>
    clientOf(index % 2 === 0 ? network.url : nodeUrl, mayGoDirect(settings.direct, index >> 1)),
  )
  const probing = clientOf(nodeUrl, settings.direct === 'on')
  const watchers = [probing, clientOf(network.url, settings.direct === 'on')]
  // Nothing of it is left running, also when somebody has seen enough.
  const onSignal = (): void => {
    void node.killAll().finally(() => process.exit(EXIT_INTERRUPTED))
  }
  for (const signal of SIGNALS) process.once(signal, onSignal)
  try {
    await node.start()
    const probe = new FailoverProbe(probing, shards)
    return await rounds(
      settings,
      { node, network, clients, watchers, probe, control, smallDisk },
      onRound,
    )
  } finally {
    for (const signal of SIGNALS) process.off(signal, onSignal)
    await Promise.allSettled([...clients, ...watchers].map((client) => client.close()))
    await network.close()
    await node.close()
    if (settings.log !== undefined) await writeFile(settings.log, node.log)
    smallDisk?.unmount()
    for (const path of [directory, control])
      await rm(path, { recursive: true, force: true, maxRetries: 3 })
  }
}

/** More than children, as one that ends may hold its port for a while. */
function portsFrom(first: number): number[] {
  return Array.from({ length: DIRECT_PORTS }, (_, index) => first + index)
}

function mayGoDirect(which: DirectClients, number: number): boolean {
  return which === 'both' ? number % 2 === 0 : which === 'on'
}

function clientOf(url: string, mayGo: boolean): UntypedClient {
  const direct = mayGo ? 'auto' : false
  return createClient({ url, timeout: CALL_TIMEOUT_MS, reconnect: RECONNECT, direct })
}

interface Stage {
  readonly node: NodeUnderFault
  readonly network: BadNetwork
  readonly clients: readonly UntypedClient[]
  readonly watchers: readonly UntypedClient[]
  readonly probe: FailoverProbe
  readonly control: string
  readonly smallDisk: SmallDisk | undefined
}

async function rounds(
  settings: RunSettings,
  { node, network, clients, watchers, probe, control, smallDisk }: Stage,
  onRound: (number: number, result: RoundResult, soFar: FaultCounts) => void,
): Promise<Report> {
  const random = new SeededRandom(settings.seed)
  const history = new History()
  const results: RoundResult[] = []
  const visits = visitsOf(random, settings.failpoints ?? 0, {
    replicas: settings.replicationFactor,
    begins: settings.kinds,
  })
  const visited = new Set<string>()
  const onVisit = (point: string): void => {
    visited.add(point)
    if (settings.log !== undefined) node.note(JSON.stringify({ time: Date.now(), point }))
  }
  const wanted =
    visits.length > 0
      ? Math.ceil(visits.length / VISITS_PER_ROUND)
      : Math.max(1, Math.round(settings.seconds / settings.secondsPerRound))
  const onPrimaryKilled = (shard: number): void => probe.onPrimaryKilled(shard)
  for (let number = 1; number <= wanted; number += 1) {
    const onFault = (fault: Fault): void => {
      const { type } = fault
      if (settings.log !== undefined) node.note(JSON.stringify({ time: Date.now(), fault }))
      // The probe has a line of its own.
      if (!ON_LINES.includes(type)) probe.disturb()
    }
    const onDamage = (damage: Harm): void => {
      if (settings.log !== undefined) node.note(JSON.stringify({ time: Date.now(), damage }))
    }
    const own = visits.slice((number - 1) * VISITS_PER_ROUND, number * VISITS_PER_ROUND)
    const { gapMsMax, kinds, scales } = settings
    const trouble =
      own.length > 0
        ? new FailpointWalk({ node, control, random, onVisit }, own)
        : new Nemesis({
            node,
            network,
            control,
            smallDisk,
            random,
            scope: { gapMsMax, kinds, scales, replicas: settings.replicationFactor },
            onPrimaryKilled,
            onFault,
            onDamage,
            isAlone: settings.replicationFactor === 1,
          })
    const ports = { node, clients, watchers, history, random, trouble }
    const result = await runRound(number, settings, ports)
    results.push(result)
    onRound(number, result, node.counts)
    // One finding is enough to look into; what follows may be its consequence.
    if (Object.values(result.findings).some((found: readonly string[]) => found.length > 0)) break
  }
  await probe.end()
  const report = reportOf(settings, results, { node, history, probe, visited })
  const isSilent = settings.canary !== undefined || hasPassed(report) || !SERIOUS.test(node.log)
  return isSilent ? report : withLog(report, node.log)
}

function withLog(report: Report, log: string): Report {
  const lines = log.split('\n').filter((line) => SERIOUS.test(line))
  const problems = [...report.findings.problems, ...lines.slice(0, 3)]
  return { ...report, findings: { ...report.findings, problems } }
}

interface Outcome {
  readonly node: NodeUnderFault
  readonly history: History
  readonly probe: FailoverProbe
  readonly visited: ReadonlySet<string>
}

function reportOf(
  { seed, replicationFactor }: RunSettings,
  results: readonly RoundResult[],
  { node, history, probe, visited }: Outcome,
): Report {
  const sum = (of: (result: RoundResult) => number): number =>
    results.reduce((total, result) => total + of(result), 0)
  const all = (kind: keyof Findings): string[] => results.flatMap(({ findings }) => findings[kind])
  const seconds = sum(({ loadMs }) => loadMs) / 1_000
  const { durationsMs } = probe
  return {
    seed,
    machine: machine(),
    seconds,
    rounds: results.length,
    faults: {
      ...node.counts,
      cuts: sum(({ cuts }) => cuts),
      disk: sum(({ diskFaults }) => diskFaults),
      damages: sum(({ damages }) => damages),
    },
    failpoints: { visited: visited.size, known: failpointsOf(replicationFactor).length },
    calls: {
      ...history.counts,
      perSecond: history.counts.acknowledged / seconds,
      failures: Object.fromEntries(history.failures),
    },
    withoutPrimaryMs: {
      count: durationsMs.length,
      median: quantile(durationsMs, 0.5),
      p99: quantile(durationsMs, 0.99),
    },
    watched: { events: sum(({ watched }) => watched), resets: sum(({ resets }) => resets) },
    checked: {
      operations: sum(({ operations }) => operations),
      partitions: sum(({ partitions }) => partitions),
      seconds: sum(({ checkMs }) => checkMs) / 1_000,
    },
    findings: {
      lost: all('lost'),
      violations: all('violations'),
      duplicates: all('duplicates'),
      versions: all('versions'),
      watch: all('watch'),
      damage: all('damage'),
      problems: all('problems'),
    },
  }
}
