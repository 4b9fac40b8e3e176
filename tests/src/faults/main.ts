/**
 * `pnpm faults`: a node under faults and load, and the proof that it kept its promises.
 */
import { writeFile } from 'node:fs/promises'
import { CANARIES } from './canaries/canaries.js'
import { measureFigures } from './run/figures.js'
import { hasPassed, render } from './run/report.js'
import { run } from './run/run.js'
import type { RunSettings } from './run/settings.js'
import { settingsFrom, USAGE } from './run/settings.js'

const EXIT_BROKEN = 1
const EXIT_USAGE = 2

async function main(settings: RunSettings): Promise<void> {
  process.stderr.write(`seed ${settings.seed}\n`)
  const proof = await run(settings, (number, { operations, findings }) => {
    const found = Object.values(findings).flat().length
    process.stderr.write(`round ${number}: ${operations} operations, ${found} findings\n`)
  })
  const report = settings.report ? { ...proof, figures: await measureFigures(settings) } : proof
  process.stdout.write(render(report, settings))
  if (settings.json !== undefined)
    await writeFile(settings.json, JSON.stringify(report, undefined, 2))
  process.exitCode = hasPassed(report) ? 0 : EXIT_BROKEN
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
else await main(asked)
