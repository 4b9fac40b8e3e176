/**
 * Puts each known bug into a node of its own and lets the run look for it: the harness is as good as
 * what it finds here.
 */
import type { Findings, Report } from '../run/report.js'
import type { RoundResult } from '../run/round.js'
import type { RunSettings } from '../run/settings.js'
import { CANARIES } from './canaries.js'
import type { Canary } from './canary.js'

/** A harness that takes longer to find a bug has missed it. */
export const CATCH_SECONDS_MAX = 600
/** A run that only could not go on is no finding: another one begins, with the next of its seeds. */
const SEED_STEP = 1_000_003

type Oracle = Exclude<keyof Findings, 'problems'>

/** Who found it, in the order of what convinces most. */
const ORACLES: Readonly<Record<Oracle, string>> = {
  lost: 'lost writes',
  violations: 'linearizability',
  duplicates: 'duplicates',
  versions: 'versions',
  watch: 'watches',
  damage: 'offline check',
}

export interface Catch {
  readonly name: string
  readonly canary: Canary
  readonly seed: number
  readonly rounds: number
  /** From the start of the first node to the verdict. */
  readonly seconds: number
  /** None: it was missed. */
  readonly oracles: readonly Oracle[]
  /** What the first of them said. */
  readonly first: string | undefined
}

export type Run = (
  settings: RunSettings,
  onRound: (number: number, result: RoundResult) => void,
) => Promise<Report>

/** Those that are named: all of them, or several with commas between. */
export function isHunt(canary: string | undefined): boolean {
  return canary !== undefined && (canary === 'all' || canary.includes(','))
}

function namesOf({ canary = 'all' }: RunSettings): string[] {
  return canary === 'all' ? Object.keys(CANARIES) : canary.split(',')
}

/** How a run for one canary is made from what was asked of all. */
function settingsFor(name: string, canary: Canary, asked: RunSettings): RunSettings {
  const replicationFactor = Math.max(asked.replicationFactor, canary.replicas ?? 1)
  const minInSync = canary.minInSync ?? asked.minInSync
  return { ...asked, canary: name, replicationFactor, minInSync, report: false }
}

export interface HuntPorts {
  readonly onCatch: (found: Catch) => void
  /** A run ended, and all it could say is that it did not go on. */
  readonly onUnfinished: (name: string, seed: number, problem: string) => void
}

/** One after the other. */
export async function huntAll(
  asked: RunSettings,
  run: Run,
  { onCatch, onUnfinished }: HuntPorts,
): Promise<readonly Catch[]> {
  const catches: Catch[] = []
  for (const name of namesOf(asked)) {
    const found = await hunt(name, settingsFor(name, CANARIES[name]!, asked), run, onUnfinished)
    catches.push(found)
    onCatch(found)
  }
  return catches
}

async function hunt(
  name: string,
  settings: RunSettings,
  run: Run,
  onUnfinished: HuntPorts['onUnfinished'],
): Promise<Catch> {
  const canary = CANARIES[name]!
  const startedAt = performance.now()
  const elapsed = (): number => (performance.now() - startedAt) / 1_000
  let rounds = 0
  let { seed } = settings
  while (elapsed() < CATCH_SECONDS_MAX) {
    const seconds = Math.ceil(CATCH_SECONDS_MAX - elapsed())
    const { findings } = await run({ ...settings, seed, seconds }, () => {
      rounds += 1
    })
    const oracles = oraclesOf(findings)
    if (oracles.length > 0) {
      const first = findings[oracles[0]!][0]
      return { name, canary, seed, rounds, seconds: elapsed(), oracles, first }
    }
    if (findings.problems[0] !== undefined) onUnfinished(name, seed, findings.problems[0])
    seed = (seed + SEED_STEP) % 2 ** 32
  }
  return { name, canary, seed, rounds, seconds: elapsed(), oracles: [], first: undefined }
}

/** Those that saw a promise broken; that a run could not be finished is none. */
function oraclesOf(findings: Findings): Oracle[] {
  return (Object.keys(ORACLES) as Oracle[]).filter((oracle) => findings[oracle].length > 0)
}

/** As a table of Markdown. */
export function renderCatches(catches: readonly Catch[]): string {
  const lines = catches.map(({ name, canary, seed, rounds, seconds, oracles }) => {
    const by = oracles.length === 0 ? 'MISSED' : oracles.map((each) => ORACLES[each]).join(', ')
    const time = `${seconds.toFixed(0)} s (round ${rounds})`
    return [`\`${name}\``, canary.what, canary.breaks, by, time, String(seed)]
  })
  const rows = [['Canary', 'The bug', 'Breaks', 'Found by', 'After', 'Seed'], ...lines]
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
  const [head = [], ...body] = rows.map((row) =>
    row.map((cell, column) => cell.padEnd(widths[column]!)),
  )
  const rule = widths.map((width) => '-'.repeat(width))
  return [head, rule, ...body].map((row) => `| ${row.join(' | ')} |\n`).join('')
}
