/** Which charts a part has: one for each kind of call in the core, one for the whole part elsewhere. */
import { LIMITS } from '../contender-names.js'
import type { LoadKind } from '../loads/load.js'
import { kindInWords, shortCount } from '../loads/load.js'
import type { PartFigures } from './figures.js'
import type { Bar, Panel } from './chart.js'
import { renderChart } from './chart.js'
import type { FactRow, Row } from './rows.js'
import { factRowsOf, inDigits, inTimes, rowsOf, subjectOf } from './rows.js'

export interface Chart {
  /** Below `docs/benchmarks`. */
  readonly file: string
  readonly title: string
  readonly svg: string
}

export function chartsOf(part: PartFigures): Chart[] {
  const subject = subjectOf(part)
  const rows = rowsOf(part)
  const charts: Chart[] = []
  if (part.part === 'core' || part.part === 'short') {
    for (const kind of new Set(rows.map(({ load }) => load.kind))) {
      const ofKind = rows.filter(({ load }) => load.kind === kind)
      charts.push(chart(fileOf(part, kind), kindInWords(kind), panelsOf(ofKind, subject)))
    }
  } else if (rows.length > 0) {
    charts.push(chart(fileOf(part), part.part, panelsOf(rows, subject)))
  }
  const facts = factPanelsOf(factRowsOf(part), subject)
  if (facts.length > 0) charts.push(chart(fileOf(part), part.part, facts))
  return charts.filter(({ svg }) => svg.includes('<rect'))
}

function chart(file: string, title: string, panels: readonly Panel[]): Chart {
  return { file, title, svg: renderChart(title, panels) }
}

function fileOf({ part }: PartFigures, kind?: LoadKind): string {
  return kind === undefined ? `${part}.svg` : `${part}-${kind.toLowerCase()}.svg`
}

function panelsOf(rows: readonly Row[], subject: string | undefined): Panel[] {
  return [...new Set(rows.map(({ label }) => label))].map((label) => ({
    title: `${label}, calls a second`,
    bars: rows.filter((row) => row.label === label).flatMap((row) => barOf(row, subject)),
  }))
}

function barOf({ contender, name, figures }: Row, subject: string | undefined): Bar[] {
  if (figures === undefined) return []
  const { median, least, most } = figures.callsPerSecond
  const ratio = figures.rateRatio === undefined ? '' : `  (${inTimes(figures.rateRatio)})`
  const look = contender === subject ? 'subject' : LIMITS.has(contender) ? 'limit' : 'other'
  return [{ name, value: median, least, most, label: `${inDigits(median)}${ratio}`, look }]
}

function factPanelsOf(rows: readonly FactRow[], subject: string | undefined): Panel[] {
  const titleOf = ({ fact }: FactRow): string => `${fact.fact}, ${shortCount(fact.keys)} keys`
  return [...new Set(rows.map(titleOf))].map((title) => ({
    title,
    bars: rows
      .filter((row) => titleOf(row) === title && row.fact.values.length > 0)
      .map((row) => {
        const ratio = row.ratio === undefined ? '' : `  (${inTimes(row.ratio)})`
        const { median, least, most } = row.value
        const look = row.fact.contender === subject ? 'subject' : 'other'
        return {
          name: row.name,
          value: median,
          least,
          most,
          label: `${inDigits(median)}${ratio}`,
          look,
        }
      }),
  }))
}
