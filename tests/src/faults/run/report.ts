/**
 * What a run has shown, as figures and as a page for people.
 */
import { availableParallelism, cpus } from 'node:os'
import type { Figures, Times } from './figures.js'
import type { RunSettings } from './settings.js'

export interface Report {
  readonly seed: number
  readonly machine: string
  readonly seconds: number
  readonly rounds: number
  readonly faults: {
    readonly kills: number
    readonly coordinatorKills: number
    readonly stops: number
    readonly scales: number
    readonly cuts: number
    readonly disk: number
    /** Copies whose files were damaged. */
    readonly damages: number
    readonly starts: number
  }
  /** Of all that there are, at how many a process was ended or stopped. */
  readonly failpoints: { readonly visited: number; readonly known: number }
  readonly calls: {
    readonly acknowledged: number
    readonly acknowledgedWrites: number
    readonly perSecond: number
    readonly unknown: number
    readonly notApplied: number
    readonly failures: Readonly<Record<string, number>>
  }
  /**
   * From the kill -9 of a child until a write of a shard of it is acknowledged: where another child served
   * others, and no other fault came before.
   */
  readonly withoutPrimaryMs: {
    readonly count: number
    readonly median: number
    readonly p99: number
  }
  /** Of a node at rest with many keys; only if they were asked for. */
  readonly figures?: readonly Figures[]
  readonly watched: { readonly events: number; readonly resets: number }
  readonly checked: {
    readonly operations: number
    readonly partitions: number
    readonly seconds: number
  }
  readonly findings: Findings
}

/** Each is empty in a run that passes. */
export interface Findings {
  readonly lost: readonly string[]
  readonly violations: readonly string[]
  readonly duplicates: readonly string[]
  readonly versions: readonly string[]
  /** Watch streams against the history. */
  readonly watch: readonly string[]
  /** What the offline check of the data directory says. */
  readonly damage: readonly string[]
  /** What is no broken promise of the store but keeps a run from being a proof. */
  readonly problems: readonly string[]
}

const SHOWN_MAX = 4
/** Of one finding. */
const LINES_MAX = 20

/** Under this load a fault often finds nothing under way. */
const CALLS_PER_SECOND_MIN = 5_000

function isLight({ calls, failpoints }: Report): boolean {
  return calls.perSecond < CALLS_PER_SECOND_MIN && failpoints.visited === 0
}

export function hasPassed({ findings }: Report): boolean {
  return Object.values(findings).every((found: readonly string[]) => found.length === 0)
}

export function render(report: Report, settings: RunSettings): string {
  const { faults, calls, withoutPrimaryMs, watched, checked, findings } = report
  const rows: [string, string][] = [
    ['seed', String(report.seed)],
    ['machine', report.machine],
    [
      'load',
      `${report.seconds.toFixed(0)} s in ${report.rounds} rounds, ${per(calls.perSecond)} calls/s acknowledged${isLight(report) ? `: FEWER THAN ${CALLS_PER_SECOND_MIN}, faults hit little` : ''}`,
    ],
    ['calls acknowledged', `${calls.acknowledged}, of them ${calls.acknowledgedWrites} writes`],
    ['outcome unknown', `${calls.unknown}; refused as not applied ${calls.notApplied}`],
    ['failures', entries(calls.failures)],
    [
      'kill -9',
      `${faults.kills}, of them ${faults.coordinatorKills} coordinators; ${faults.starts} starts`,
    ],
    ['SIGSTOP', String(faults.stops)],
    ...(settings.scales ? [['scaled', String(faults.scales)] as [string, string]] : []),
    ['connections cut', String(faults.cuts)],
    ['faults of the disk', String(faults.disk)],
    ['copies damaged', String(faults.damages)],
    ['failpoints hit', `${report.failpoints.visited} of ${report.failpoints.known}`],
    ['without a primary', withoutPrimary(withoutPrimaryMs)],
    [
      'checked',
      `${checked.operations} operations in ${checked.partitions} partitions, ${checked.seconds.toFixed(1)} s`,
    ],
    ['watched', `${watched.events} events by 2 watches, ${watched.resets} resets`],
    ['acknowledged writes lost', String(findings.lost.length)],
    ['linearizability violations', String(findings.violations.length)],
    ['duplicates', String(findings.duplicates.length)],
    ['versions of two writes', String(findings.versions.length)],
    ['watch streams wrong', String(findings.watch.length)],
    ['damage found offline', String(findings.damage.length)],
    ['other problems', String(findings.problems.length)],
  ]
  for (const figures of report.figures ?? []) rows.push(...figureRows(figures, settings))
  const width = Math.max(...rows.map(([name]) => name.length))
  const lines = rows.map(([name, value]) => `  ${name.padEnd(width)}  ${value}`)
  return [
    hasPassed(report) ? 'PASSED' : 'FAILED',
    ...lines,
    ...Object.entries(findings).flatMap(([kind, found]) => shown(kind, found as string[])),
    `repeat: pnpm faults ${flagsOf(settings)}`,
    '',
  ].join('\n')
}

function figureRows(figures: Figures, { pingTimeoutMs }: RunSettings): [string, string][] {
  const { copies, keys, killed, stopped, restart } = figures
  const inWords = ({ count, median, p99 }: Times, wanted: string): string =>
    `median ${median.toFixed(0)} ms, p99 ${p99.toFixed(0)} ms (${count}); wanted: ${wanted}`
  const failover = copies === 1 ? 'median 120' : 'median 80, p99 500'
  return [
    [`copies: ${copies}, keys: ${keys}`, 'no other load'],
    ['  kill -9 of a child: no reads for', inWords(killed.read, `${failover} ms`)],
    ['    no writes for', inWords(killed.write, 'as soon')],
    ['  SIGSTOP of a child: no reads for', inWords(stopped.read, `${pingTimeoutMs + 300} ms`)],
    ['    no writes for', inWords(stopped.write, 'as soon')],
    ['  ready after kill -9 of everything', inWords(restart, '1,000 ms')],
  ]
}

function withoutPrimary({ count, median, p99 }: Report['withoutPrimaryMs']): string {
  if (count === 0) return 'not measured'
  return `median ${median.toFixed(0)} ms, p99 ${p99.toFixed(0)} ms, of ${count} kills of one child while another served`
}

function shown(kind: string, found: readonly string[]): string[] {
  if (found.length === 0) return []
  const rest = found.length - SHOWN_MAX
  return [
    `${kind}:`,
    ...found.slice(0, SHOWN_MAX).map((text) => `  - ${clipped(text)}`),
    ...(rest > 0 ? [`  and ${rest} more`] : []),
  ]
}

function clipped(text: string): string {
  const lines = text.split('\n')
  const rest = lines.length - LINES_MAX
  return [...lines.slice(0, LINES_MAX), ...(rest > 0 ? [`    and ${rest} lines more`] : [])].join(
    '\n',
  )
}

function flagsOf({
  seed,
  seconds,
  secondsPerRound,
  gapMsMax,
  canary,
  ...others
}: RunSettings): string {
  const flags = [
    `--seed ${seed} --seconds ${seconds} --round ${secondsPerRound} --gap ${gapMsMax}`,
    `--children ${others.children} --shards ${others.shards} --clients ${others.clients}`,
    `--cells ${others.cells} --lanes ${others.lanesPerCell}`,
  ]
  if (others.replicationFactor !== 1) flags.push(`--replicas ${others.replicationFactor}`)
  if (others.minInSync !== undefined) flags.push(`--min-in-sync ${others.minInSync}`)
  if (others.fsync !== 'always') flags.push(`--fsync ${others.fsync}`)
  if (others.direct !== 'both') flags.push(`--direct ${others.direct}`)
  if (others.scales) flags.push('--scale')
  if (others.kinds !== undefined) flags.push(`--only ${others.kinds.join(',')}`)
  if (others.diskMegabytes !== 0) flags.push(`--disk ${others.diskMegabytes}`)
  if (others.failpoints !== undefined) flags.push(`--failpoints ${others.failpoints}`)
  return `${flags.join(' ')}${canary === undefined ? '' : ` --canary ${canary}`}`
}

function entries(counts: Readonly<Record<string, number>>): string {
  const parts = Object.entries(counts).map(([name, count]) => `${name}: ${count}`)
  return parts.length === 0 ? 'none' : parts.join(', ')
}

function per(rate: number): string {
  return rate >= 10_000 ? `${(rate / 1_000).toFixed(1)} k` : rate.toFixed(0)
}

export function machine(): string {
  const model = cpus()[0]?.model.trim() ?? 'unknown processor'
  return `${availableParallelism()} cores, ${model}, Node.js ${process.version}`
}
