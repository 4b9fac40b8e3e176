/** A part as a table for the terminal. */
import { shortCount } from '../loads/load.js'
import type { PartFigures } from './figures.js'
import type { Row } from './rows.js'
import { factRowsOf, inDigits, inTimes, nameIn, rowsOf, subjectOf } from './rows.js'

const COLUMNS = [
  'load',
  'store',
  'calls/s',
  'least',
  'most',
  'p50 ms',
  'p99 ms',
  'max ms',
  'client µs/call',
]

/** One line a store and load; ratios are those of the subject to it, in rate and in CPU of the client. */
export function renderPart(part: PartFigures): string {
  const sections = [`${part.part}: ${part.rounds} rounds, ${part.seconds} s`]
  const subject = subjectOf(part)
  if (part.cells.length > 0 && subject !== undefined) {
    const name = nameIn(part, subject)
    sections.push(align(cellLines(rowsOf(part), [...COLUMNS, `${name}: rate`, 'CPU'])))
  }
  if (part.facts.length > 0) sections.push(align(factLines(part)))
  const absent = part.participants.flatMap((one) =>
    'absent' in one ? [`${one.name}: ${one.absent}`] : [],
  )
  if (absent.length > 0) sections.push(absent.join('\n'))
  return `${sections.join('\n\n')}\n`
}

function cellLines(rows: readonly Row[], columns: string[]): string[][] {
  const lines = [columns]
  let label = ''
  for (const row of rows) {
    if (label !== '' && label !== row.label) lines.push([])
    label = row.label
    lines.push(lineOf(row))
  }
  return lines
}

function lineOf({ label, name, figures, missing }: Row): string[] {
  if (figures === undefined) return [label, `${name}: ${missing ?? 'not measured'}`]
  const { median, least, most } = figures.callsPerSecond
  return [
    label,
    name,
    ...[median, least, most].map((rate) => inDigits(rate)),
    figures.p50Ms.toFixed(3),
    figures.p99Ms.toFixed(3),
    figures.maxMs.toFixed(1),
    figures.clientMicrosPerCall.toFixed(2),
    inTimes(figures.rateRatio),
    inTimes(figures.cpuRatio),
  ]
}

function factLines(part: PartFigures): string[][] {
  return [
    ['what', 'store', 'median', 'least', 'most', 'ratio'],
    ...factRowsOf(part).map(({ fact, name, value, ratio }) => [
      `${fact.fact}, ${shortCount(fact.keys)} keys`,
      fact.missing === undefined ? name : `${name}: ${fact.missing}`,
      inDigits(value.median),
      inDigits(value.least),
      inDigits(value.most),
      inTimes(ratio),
    ]),
  ]
}

/** The first two columns are words. What has nothing behind it takes no width. */
function align(lines: readonly (readonly string[])[]): string {
  const widths: number[] = []
  for (const cells of lines) {
    if (cells.length === 2) continue
    for (const [column, cell] of cells.entries()) {
      widths[column] = Math.max(widths[column] ?? 0, cell.length)
    }
  }
  return lines
    .map((cells) =>
      cells
        .map((cell, column) =>
          column < 2 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
        )
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}
