/** The table of a run, and the ratios that matter in it. */
import type { Measured } from './load.js'

export interface Row {
  readonly peer: string
  readonly settings: string
  readonly measured: readonly Measured[]
}

export interface AbsentRow {
  readonly peer: string
  readonly absent: string
}

/** One line a peer and load; ratios are kv's rate to the peer's, and kv's client CPU to its. */
export function renderTable(rows: readonly (Row | AbsentRow)[]): string {
  const lines = [
    [
      'load',
      'peer',
      'calls/s',
      'p50 ms',
      'p99 ms',
      'max ms',
      'client µs/call',
      'kv rate',
      'kv CPU',
    ],
  ]
  const reference = rows.find((row): row is Row => row.peer === 'kv' && 'measured' in row)
  for (const measured of reference?.measured ?? []) {
    for (const row of rows) {
      lines.push('absent' in row ? absentLine(measured, row) : line(measured, row))
    }
    lines.push([])
  }
  return align(lines)
}

function absentLine(measured: Measured, row: AbsentRow): string[] {
  return [loadOf(measured), row.peer, row.absent]
}

function line(reference: Measured, row: Row): string[] {
  const own = row.measured.find((other) => loadOf(other) === loadOf(reference))
  if (own === undefined) return [loadOf(reference), row.peer, 'not measured']
  return [
    loadOf(own),
    row.peer,
    Math.round(own.callsPerSecond).toLocaleString('en'),
    own.p50Ms.toFixed(3),
    own.p99Ms.toFixed(3),
    own.maxMs.toFixed(1),
    own.clientMicrosPerCall.toFixed(2),
    row.peer === 'kv' ? '' : `${(reference.callsPerSecond / own.callsPerSecond).toFixed(2)} ×`,
    row.peer === 'kv'
      ? ''
      : `${(reference.clientMicrosPerCall / own.clientMicrosPerCall).toFixed(2)} ×`,
  ]
}

export function loadOf({ operation, inFlight }: Measured): string {
  return `${operation}, ${inFlight} in flight`
}

function align(lines: readonly (readonly string[])[]): string {
  const widths: number[] = []
  for (const cells of lines) {
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
