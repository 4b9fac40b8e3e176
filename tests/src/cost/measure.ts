/** What a call costs in memory, by the name of the workload: bytes, and what was stored of them. */
import { execFile } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

/**
 * `allocated`: bytes a call allocates. `kept`: bytes it leaves in the old generation, or anywhere a
 * collection of the young one does not reach, when it is answered.
 */
export type Kind = 'allocated' | 'kept'

export type Figures = Readonly<Record<string, number>>

export const KINDS: readonly Kind[] = ['allocated', 'kept']

const PROGRAM = fileURLToPath(new URL('../../dist/cost/process.js', import.meta.url))

const STORED = fileURLToPath(new URL('../../fixtures/cost.json', import.meta.url))

/** A call that costs so much more than what is stored fails. */
const GROWTH_MAX = 1.5
/** Where next to nothing is stored, it is no matter how many times as much there is. */
const SLACK_BYTES = 32

/**
 * Nothing is optimised: what the compiler would leave out depends on when it comes to it. A young
 * generation in which everything has room is never collected.
 */
const FLAGS: Readonly<Record<Kind, readonly string[]>> = {
  allocated: ['--no-opt', '--min-semi-space-size=256', '--max-semi-space-size=256'],
  kept: ['--no-opt', '--max-semi-space-size=16', '--initial-old-space-size=512'],
}

export async function measure(kind: Kind): Promise<Figures> {
  const run = promisify(execFile)
  const { stdout } = await run(process.execPath, ['--expose-gc', ...FLAGS[kind], PROGRAM, kind])
  return JSON.parse(stdout) as Figures
}

export function storedFigures(kind: Kind): Figures {
  return (JSON.parse(readFileSync(STORED, 'utf8')) as Record<Kind, Figures>)[kind]
}

export function store(figures: Readonly<Record<Kind, Figures>>): void {
  writeFileSync(STORED, `${JSON.stringify(figures, null, 2)}\n`)
}

/** What of the figures is too much, or can't be told, in words. */
export function excess(figures: Figures, stored: Figures): string[] {
  const names = new Set([...Object.keys(figures), ...Object.keys(stored)])
  return [...names].flatMap((name) => {
    const [found, known] = [figures[name], stored[name]]
    if (found === undefined || known === undefined) return `${name}: not measured, or not stored`
    if (found <= known * GROWTH_MAX + SLACK_BYTES) return []
    return `${name}: ${found} bytes a call, ${known} are stored`
  })
}
