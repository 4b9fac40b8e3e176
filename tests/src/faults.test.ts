/**
 * The short form of `pnpm faults`: kills, stops, cuts and restarts under load, and the verdict of the
 * checker, the oracles and the offline check on all of it (P1 to P5, P8).
 */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { describe, expect, test } from 'vitest'
import { ROOT } from './tidy/source-files.js'

const PROGRAM = join(ROOT, 'tests', 'dist', 'faults', 'main.js')
/** Far more than it takes: on a machine that has other work, too, everything takes its time. */
const TIMEOUT_MS = 600_000
const FAILPOINTS_TIMEOUT_MS = 600_000
/**
 * Some of the places that any load or any restart passes, each with the restart of a process, or of
 * all. `--failpoints 1` walks through all of them, which takes its time.
 */
const FAILPOINTS_AT_HAND = 'journal.write,open,topology'

async function faults(args: string): Promise<{ code: number | null; output: string }> {
  const child = spawn(process.execPath, [PROGRAM, ...args.split(' ')], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code) => resolve(code))
  })
  const [output, code] = await Promise.all([text(child.stdout), exited])
  return { code, output }
}

describe('under faults', () => {
  test(
    'nothing acknowledged is lost, nothing is doubled, every key behaves like one copy',
    async () => {
      const { code, output } = await faults('--seconds 150 --round 75 --gap 250 --children 4')
      // The whole report, with the seed, when it fails.
      expect(output).toContain('PASSED')
      expect(code).toBe(0)
    },
    TIMEOUT_MS,
  )

  test(
    'children come and go all the time → no call fails, and the history is as of one copy (P1 to P6)',
    async () => {
      const { code, output } = await faults(
        '--seconds 15 --round 15 --gap 600 --children 2 --clients 8 --cells 64 --lanes 4 --replicas 2 --scale --only scale',
      )
      expect(output).toContain('PASSED')
      expect(output).toMatch(/ failures +none\n/)
      expect(output).toMatch(/ scaled +[1-9]/)
      expect(code).toBe(0)
    },
    TIMEOUT_MS,
  )

  test(
    'a process that ends or stops at a failpoint, each once, breaks nothing (P1 to P5)',
    async () => {
      const { code, output } = await faults(
        `--failpoints 1 --only ${FAILPOINTS_AT_HAND} --cells 32 --shards 4`,
      )
      expect(output).toContain('PASSED')
      expect(code).toBe(0)
    },
    FAILPOINTS_TIMEOUT_MS,
  )

  test(
    'a known bug is found: the proof can fail',
    async () => {
      const { code, output } = await faults(
        '--seconds 60 --round 5 --gap 400 --canary journal-not-redone',
      )
      // Not merely as a run that could not be finished.
      expect(output).toMatch(/linearizability violations +[1-9]/)
      expect(code).toBe(1)
    },
    TIMEOUT_MS,
  )
})
