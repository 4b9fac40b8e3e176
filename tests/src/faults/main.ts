/**
 * `pnpm faults`: a node under faults and load, and the proof that it kept its promises.
 */
import { writeFile } from 'node:fs/promises'
import { CANARIES } from './canaries/canaries.js'
import { huntAll, isHunt, renderCatches, type Catch } from './canaries/canary-hunt.js'
import { measureFigures } from './run/figures.js'
import { hasPassed, render } from './run/report.js'
import { run } from './run/run.js'
import type { RunSettings } from './run/settings.js'
import { settingsFrom, USAGE } from './run/settings.js'

const EXIT_BROKEN = 1
const EXIT_USAGE = 2

async function main(settings: RunSettings): Promise<void> {
  process.stderr.write(`seed ${settings.seed}\n`)
  const proof = await run(settings, (number, { operations, findings }, { kills }) => {
    const found = Object.values(findings).flat().length
    process.stderr.write(
      `round ${number}: ${operations} operations, ${kills} kills so far, ${found} findings\n`,
    )
  })
  const report = settings.report ? { ...proof, figures: await measureFigures(settings) } : proof
  process.stdout.write(render(report, settings))
  if (settings.json !== undefined)
    await writeFile(settings.json, JSON.stringify(report, undefined, 2))
  process.exitCode = hasPassed(report) ? 0 : EXIT_BROKEN
}

/** Every known bug, one after the other; each must be found. */
async function hunt(settings: RunSettings): Promise<void> {
  process.stderr.write(`seed ${settings.seed}\n`)
  const onCatch = ({ name, oracles, seconds, rounds, seed, first }: Catch): void => {
    const by = oracles.length === 0 ? 'MISSED' : `found by ${oracles.join(', ')}`
    const example = first?.split('\n')[0] ?? ''
    process.stderr.write(
      `${name}: ${by} after ${seconds.toFixed(0)} s in round ${rounds}, seed ${seed}: ${example}\n`,
    )
  }
  const onUnfinished = (name: string, seed: number, problem: string): void => {
    process.stderr.write(`${name}: nothing decided with seed ${seed}: ${problem.slice(0, 200)}\n`)
  }
  const catches = await huntAll(settings, run, { onCatch, onUnfinished })
  process.stdout.write(renderCatches(catches))
  if (settings.json !== undefined)
    await writeFile(settings.json, JSON.stringify(catches, undefined, 2))
  process.exitCode = catches.every(({ oracles }) => oracles.length > 0) ? 0 : EXIT_BROKEN
}

function settings(): RunSettings | undefined {
  try {
    return settingsFrom(process.argv.slice(2))
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n${USAGE}`)
    process.exit(EXIT_USAGE)
  }
}

const asked = settings()
if (asked?.canary === 'list') {
  for (const [name, { what }] of Object.entries(CANARIES))
    process.stdout.write(`${name}: ${what}\n`)
} else if (asked === undefined) process.stdout.write(USAGE)
else if (isHunt(asked.canary)) await hunt(asked)
else await main(asked)
