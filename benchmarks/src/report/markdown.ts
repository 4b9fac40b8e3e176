/** `docs/benchmarks.md`, from the figures alone. */
import { CORE, shortCount } from '../loads/load.js'
import type { PartName } from '../plan.js'
import { CAUSES } from './causes.js'
import type { Figures, PartFigures } from './figures.js'
import { chartsOf } from './part-charts.js'
import { factRowsOf, inDigits, inTimes, nameIn, rowsOf, subjectOf } from './rows.js'
import type { Judged } from './targets.js'
import { judge } from './targets.js'

const TITLES: Record<PartName, string> = {
  short: 'The short form',
  core: 'The core',
  inflight: 'Calls in flight',
  values: 'Values',
  clients: 'Clients',
  keys: 'Keys',
  memory: 'Memory',
  restart: 'Start after kill -9',
  ycsb: 'YCSB',
  paths: 'Relayed and direct',
  copies: 'With copies',
  durability: 'Durability',
}

const NOTES: Record<PartName, string> = {
  short: 'What `npm run bench` measures in three minutes.',
  core:
    `Values of ${CORE.valueBytes} bytes, ${shortCount(CORE.keys)} keys drawn uniformly, one client. ` +
    'Stores in the process of their client (LMDB, a `Map`) and bare appends to a file are no servers: ' +
    'they show where the limits are.',
  inflight: 'As the core, with another number of calls in flight.',
  values:
    'As the core, with values of another size; of the largest there are 10 k keys, 64 in flight.',
  clients: 'As the core, with calls dealt out to several clients in one process.',
  keys:
    'The same stores grow. Of ten million keys a million are asked for, which stand evenly among all, ' +
    'so that every page is.',
  memory:
    'Resident memory of all processes of a store three seconds after it was filled, less that when it was ' +
    'empty, for each key. What a process maps from files counts, though the system may take it back.',
  restart:
    'Every process of the store is killed; the time is from its start until it has answered a get. ' +
    'A thousand keys are then looked for.',
  ycsb:
    'The mixes of YCSB with zipfian keys, records of one value: A half reads and half updates, B 95 % reads, ' +
    'C reads only, E 95 % short scans and 5 % inserts. A scan reads 1 to 100 entries from a round key on; of E 64 calls are in flight.',
  paths: 'The same client by way of the coordinator, and straight to the children.',
  copies:
    'Two copies of everything: kv with two copies in sync, and Redis with a replica and `WAIT 1`.',
  durability: 'What it costs to sync before every acknowledgement, every second, or never.',
}

export function renderMarkdown(figures: Figures): string {
  const sections = [
    '# Benchmarks\n\nkv beside what one would use otherwise, measured in one run. This page and its charts are written by ' +
      '`npm run bench -- --write-docs` from [the figures](benchmarks/figures.json) of a run; what is compared, and how, is in ' +
      '`benchmarks/src/plan.ts`.',
    machineSection(figures),
    targetsSection(judge(figures)),
    methodSection(figures),
    storesSection(figures),
    ...figures.parts.map((part) => partSection(part)),
  ]
  return `${sections.join('\n\n')}\n`
}

function machineSection({ machine, parts }: Figures): string {
  const dates = [...new Set(parts.map(({ at }) => at.slice(0, 10)))].toSorted()
  const commits = [...new Set(parts.flatMap(({ commit }) => commit ?? []))]
  const of = commits.length === 0 ? '' : `, of ${commits.map((each) => `\`${each}\``).join(', ')}`
  return (
    `Measured ${dates.join(', ')}${of}, on ${machine.cores} cores of ${machine.model}, ${machine.memoryGiB} GiB, ` +
    `${machine.system}, Node.js ${machine.nodeVersion}. Stores and client share these cores.`
  )
}

function targetsSection(judged: readonly Judged[]): string {
  const rows = judged.map(({ target, value, verdict }) => [
    target.says,
    boundOf(target),
    value === undefined ? '–' : `${inDigits(value)}${target.reference === undefined ? '' : ' ×'}`,
    verdict === 'missed' ? '**missed**' : verdict,
  ])
  const missed = judged.filter(({ verdict }) => verdict === 'missed')
  const causes = missed.map(
    ({ target }) => `- ${target.says}: ${CAUSES[target.id] ?? 'the cause is not found yet.'}`,
  )
  return [
    '## Targets',
    'kv direct, if nothing else is said; medians.',
    table(['what', 'target', 'measured', 'verdict'], rows, 2),
    ...(causes.length > 0 ? ['What is missed, and why:', causes.join('\n')] : []),
  ].join('\n\n')
}

function boundOf({ atLeast, atMost, reference }: Judged['target']): string {
  const unit = reference === undefined ? '' : ' ×'
  if (atLeast !== undefined) return `≥ ${inDigits(atLeast)}${unit}`
  return `≤ ${inDigits(atMost ?? Number.NaN)}${unit}`
}

function methodSection({ parts }: Figures): string {
  const rounds = [...new Set(parts.map((part) => part.rounds))].join(' or ')
  return [
    '## How it is measured',
    'Each store is started for the run, with a directory of its own, and its client runs alone in a process. A closed loop keeps so ' +
      'many calls in flight; each answer is followed by the next call. Before its first cell of an operation a store is warmed up for ' +
      `seconds with that operation. Then the stores take turns, ${rounds} rounds of A B C, B C A, …; the figure is the median of ` +
      'the rounds, beside it the least and the most. Writes go on for so long that a child of kv fills and applies its overlay several ' +
      'times. The client’s CPU is all that its process uses, the loop included, which costs every store the same.',
    'To repeat it, on a machine that does nothing else:',
    '```sh\nnpm run bench                                # the short form, three minutes\n' +
      'npm run bench -- --all --write-docs          # everything on this page\n' +
      'npm run bench -- --only core,restart         # some parts\n```',
  ].join('\n\n')
}

function storesSection({ parts }: Figures): string {
  const settings = new Map<string, string>()
  for (const one of parts.flatMap(({ participants }) => participants)) {
    settings.set(one.name, 'absent' in one ? `not measured: ${one.absent}` : one.settings)
  }
  return `## Stores\n\n${table(['store', 'settings'], [...settings], 2)}`
}

function partSection(part: PartFigures): string {
  const subject = subjectOf(part)
  const blocks = [`## ${TITLES[part.part]}`, NOTES[part.part]]
  for (const { file, title } of chartsOf(part)) blocks.push(`![${title}](benchmarks/${file})`)
  if (part.cells.length > 0 && subject !== undefined) {
    const columns =
      'load|store|calls/s|least – most|p50 ms|p99 ms|max ms|client µs a call|ratio of rates|ratio of CPU'
    blocks.push(
      `Ratios are ${nameIn(part, subject)} to the store of the row: rates above 1 and CPU below 1 speak for it.`,
      table(columns.split('|'), cellRows(part), 2),
    )
  }
  if (part.facts.length > 0) {
    blocks.push(table('what|store|median|least – most|ratio'.split('|'), factRows(part), 2))
  }
  return blocks.join('\n\n')
}

function cellRows(part: PartFigures): string[][] {
  return rowsOf(part).map(({ label, name, figures, missing }) => {
    if (figures === undefined) return [label, name, missing ?? 'not measured']
    const { median, least, most } = figures.callsPerSecond
    return [
      label,
      name,
      inDigits(median),
      `${inDigits(least)} – ${inDigits(most)}`,
      figures.p50Ms.toFixed(3),
      figures.p99Ms.toFixed(3),
      figures.maxMs.toFixed(1),
      figures.clientMicrosPerCall.toFixed(2),
      inTimes(figures.rateRatio),
      inTimes(figures.cpuRatio),
    ]
  })
}

function factRows(part: PartFigures): string[][] {
  return factRowsOf(part).map(({ fact, name, value, ratio }) => [
    `${fact.fact}, ${shortCount(fact.keys)} keys`,
    name,
    fact.missing ?? inDigits(value.median),
    fact.values.length > 1 ? `${inDigits(value.least)} – ${inDigits(value.most)}` : '',
    inTimes(ratio),
  ])
}

/** Columns from `numbersFrom` on stand to the right. */
function table(
  columns: readonly string[],
  rows: readonly (readonly string[])[],
  numbersFrom: number,
): string {
  const cells = [columns, ...rows.map((row) => columns.map((_, at) => inCell(row[at] ?? '')))]
  const widths = columns.map((_, at) => Math.max(3, ...cells.map((row) => (row[at] ?? '').length)))
  const lines = cells.map((row) => {
    const padded = row.map((cell, at) =>
      at < numbersFrom ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0),
    )
    return `| ${padded.join(' | ')} |`
  })
  const rule = widths.map((width, at) =>
    at < numbersFrom ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`,
  )
  lines.splice(1, 0, `| ${rule.join(' | ')} |`)
  return lines.join('\n')
}

function inCell(words: string): string {
  return words.replaceAll('|', '\\|').replaceAll('<', '&lt;').replaceAll('\n', ' ')
}
