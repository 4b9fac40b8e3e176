/** `npm run cost`: prints what a call costs in memory, and what is stored; `--update` stores it. */
import type { Figures, Kind } from './measure.js'
import { excess, KINDS, measure, store, storedFigures } from './measure.js'

/** What is stored is the median of some runs. */
const RUNS = 5

async function median(kind: Kind): Promise<Figures> {
  const runs: Figures[] = []
  for (let run = 0; run < RUNS; run += 1) runs.push(await measure(kind))
  return Object.fromEntries(
    Object.keys(runs[0]!).map((name) => {
      const sorted = runs.map((figures) => figures[name]!).toSorted((one, other) => one - other)
      return [name, sorted[RUNS >> 1]!]
    }),
  )
}

if (process.argv.includes('--update')) {
  store({ allocated: await median('allocated'), kept: await median('kept') })
} else {
  for (const kind of KINDS) {
    const [figures, stored] = [await measure(kind), storedFigures(kind)]
    for (const [name, bytes] of Object.entries(figures)) {
      console.log(`${kind} ${name}: ${bytes} bytes a call, ${stored[name]} are stored`)
    }
    if (excess(figures, stored).length > 0) process.exitCode = 1
  }
}
