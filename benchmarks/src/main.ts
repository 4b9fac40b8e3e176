/** `npm run bench`: kv beside its peers, in one run, on this machine. */
import { readFile, rename, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { secondsOf } from './budget.js'
import type { Part, Timing } from './plan.js'
import { cellCountOf, FULL_TIMING, PART_NAMES, PARTS, SHORT, SHORT_TIMING } from './plan.js'
import { writeDocuments } from './report/documents.js'
import type { Figures, PartFigures } from './report/figures.js'
import { withPart } from './report/figures.js'
import { renderPart } from './report/table.js'
import { machineHere, runParts } from './run-parts.js'

const USAGE = `npm run bench -- [options]

  (nothing)        the short form: get and set, kv and Redis, three minutes
  --all            the whole plan, three quarters of an hour
  --only <parts>   of ${PART_NAMES.join(', ')}
  --rounds <n>     so many rounds, for trying
  --faster <n>     everything is n times as short, for trying: such figures mean nothing
  --json <file>    figures, written as each part ends; parts that are there already and are not measured
                   anew stay (with --all or --write-docs docs/benchmarks/figures.json, if not given)
  --write-docs     docs/benchmarks.md and its charts, of that file; without --all or --only nothing is run
`

const DOCS = fileURLToPath(new URL('../../docs', import.meta.url))

const { values } = parseArgs({
  options: {
    all: { type: 'boolean', default: false },
    only: { type: 'string' },
    rounds: { type: 'string' },
    faster: { type: 'string', default: '1' },
    json: { type: 'string' },
    'write-docs': { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})

/** What is to be run; nothing, if only the documents are to be written. */
function partsToRun(): readonly Part[] {
  if (values.only !== undefined) {
    const names = values.only.split(',')
    const unknown = names.filter((name) => !PARTS.some((part) => part.name === name))
    if (unknown.length > 0) {
      throw new TypeError(
        `--only: no part ${unknown.join(', ')}; there are ${PART_NAMES.join(', ')}`,
      )
    }
    return PARTS.filter(({ name }) => names.includes(name))
  }
  if (values.all) return PARTS
  return values['write-docs'] ? [] : [SHORT]
}

function timingFor(parts: readonly Part[]): Timing {
  const timing = parts.includes(SHORT) ? SHORT_TIMING : FULL_TIMING
  const faster = positive('--faster', values.faster)
  return {
    rounds: values.rounds === undefined ? timing.rounds : positive('--rounds', values.rounds),
    readSeconds: timing.readSeconds / faster,
    writeSeconds: timing.writeSeconds / faster,
    warmUpSeconds: timing.warmUpSeconds / faster,
    beforeSeconds: timing.beforeSeconds / faster,
    restSeconds: timing.restSeconds / faster,
  }
}

function positive(option: string, text: string): number {
  const number = Number(text)
  if (!(number > 0)) throw new TypeError(`${option}: ${text} is no number above 0`)
  return number
}

async function main(): Promise<void> {
  const parts = partsToRun()
  const isForDocs = values.all || values['write-docs']
  const file = values.json ?? (isForDocs ? `${DOCS}/benchmarks/figures.json` : undefined)
  let figures: Figures = { machine: machineHere(), parts: [] }
  if (file !== undefined) figures = await readFigures(file, figures, parts.length > 0)
  if (parts.length > 0) {
    const timing = timingFor(parts)
    say(`${parts.reduce((sum, part) => sum + cellCountOf(part), 0)} cells, ${timing.rounds} rounds`)
    say(`about ${(secondsOf(parts, timing) / 60).toFixed(1)} minutes\n`)
    const onPart = async (part: PartFigures): Promise<void> => {
      process.stdout.write(`\n${renderPart(part)}\n`)
      figures = withPart(figures, part)
      if (file !== undefined) await writeFigures(file, figures)
    }
    await runParts(parts, { timing, say, onPart })
  }
  if (values['write-docs']) await writeDocuments(figures, DOCS)
}

/** Of another machine nothing is kept: a page is about one. */
async function readFigures(file: string, none: Figures, willMeasure: boolean): Promise<Figures> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || !willMeasure) throw error
    return none
  }
  const found = JSON.parse(text) as Figures
  const isSame = JSON.stringify(found.machine) === JSON.stringify(none.machine)
  return isSame || !willMeasure ? found : none
}

/** Whole or not at all: a run that is broken off keeps what it has. */
async function writeFigures(file: string, figures: Figures): Promise<void> {
  await writeFile(`${file}.new`, `${JSON.stringify(figures, undefined, 1)}\n`)
  await rename(`${file}.new`, file)
}

/** Progress is not part of the result. */
function say(line: string): void {
  process.stderr.write(`${line}\n`)
}

if (values.help) process.stdout.write(USAGE)
else await main()
