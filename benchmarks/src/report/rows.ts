/** The figures of a part, a row for each store and load, with their ratios: what tables and charts show. */
import type { ContenderName } from '../contender-names.js'
import type { Load, Measurement } from '../loads/load.js'
import { labelOf } from '../loads/load.js'
import type { Spread } from '../statistics.js'
import { median, spreadOf } from '../statistics.js'
import type { CellFigures, FactFigures, PartFigures } from './figures.js'

export interface Row {
  readonly contender: ContenderName
  readonly name: string
  readonly label: string
  readonly load: Load
  readonly missing?: string
  readonly figures?: RowFigures
}

export interface RowFigures {
  readonly callsPerSecond: Spread
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
  readonly clientMicrosPerCall: number
  /** How many times the rate of this one the subject's is; of the subject itself, absent. */
  readonly rateRatio?: number
  /** Below 1 the subject takes less of its client's CPU. */
  readonly cpuRatio?: number
}

/** Whom the others are compared with: the first of these that is in a part. */
const SUBJECTS: readonly ContenderName[] = ['kv-direct', 'kv-copies', 'kv']

export function subjectOf({ cells, facts }: PartFigures): ContenderName | undefined {
  const present = new Set([...cells, ...facts].map(({ contender }) => contender))
  return SUBJECTS.find((name) => present.has(name))
}

export function nameIn(part: PartFigures, contender: ContenderName): string {
  return part.participants.find((other) => other.contender === contender)?.name ?? contender
}

export function rowsOf(part: PartFigures): Row[] {
  const subject = subjectOf(part)
  return part.cells.map((cell) => {
    const { contender, load, missing } = cell
    const named = { contender, name: nameIn(part, contender), label: labelOf(load), load }
    if (missing !== undefined || cell.rounds.length === 0) {
      return { ...named, missing: missing ?? 'not measured' }
    }
    const reference = part.cells.find(
      (other) => other.contender === subject && labelOf(other.load) === named.label,
    )
    return { ...named, figures: figuresOf(cell, reference) }
  })
}

function figuresOf(cell: CellFigures, reference: CellFigures | undefined): RowFigures {
  const figures = {
    callsPerSecond: spreadOf(cell.rounds.map((round) => round.callsPerSecond)),
    p50Ms: medianOf(cell, 'p50Ms'),
    p99Ms: medianOf(cell, 'p99Ms'),
    maxMs: Math.max(...cell.rounds.map((round) => round.maxMs)),
    clientMicrosPerCall: medianOf(cell, 'clientMicrosPerCall'),
  }
  if (reference === undefined || reference === cell || reference.rounds.length === 0) return figures
  return {
    ...figures,
    rateRatio: medianOf(reference, 'callsPerSecond') / figures.callsPerSecond.median,
    cpuRatio: medianOf(reference, 'clientMicrosPerCall') / figures.clientMicrosPerCall,
  }
}

export function medianOf(cell: CellFigures, of: keyof Measurement): number {
  return median(cell.rounds.map((round) => round[of]))
}

export interface FactRow {
  readonly fact: FactFigures
  readonly name: string
  readonly value: Spread
  /** How many times the subject's this one is: with memory and time, more is worse. */
  readonly ratio?: number
}

export function factRowsOf(part: PartFigures): FactRow[] {
  const subject = subjectOf(part)
  return part.facts.map((fact) => {
    const row = { fact, name: nameIn(part, fact.contender), value: spreadOf(fact.values) }
    const reference = part.facts.find(
      (other) => other.contender === subject && other.keys === fact.keys,
    )
    if (reference === undefined || reference === fact || fact.values.length === 0) return row
    return { ...row, ratio: row.value.median / median(reference.values) }
  })
}

/** Thousands apart, with as many digits as say something. */
export function inDigits(value: number): string {
  if (Number.isNaN(value)) return '–'
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en')
  return value.toFixed(Math.abs(value) >= 10 ? 1 : 2)
}

export function inTimes(ratio: number | undefined): string {
  return ratio === undefined ? '' : `${inDigits(ratio)} ×`
}
