import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'

const MAIN = fileURLToPath(new URL('../dist/main.js', import.meta.url))
const TIMEOUT_MS = 120_000

interface Run {
  readonly code: number | null
  readonly output: string
  readonly complaints: string
}

let temporary: string

beforeEach(() => {
  temporary = mkdtempSync(join(tmpdir(), 'kv-demo-test-'))
})

afterEach(() => {
  rmSync(temporary, { recursive: true, force: true })
})

/** Runs the built demo; its temporary directories are made in ours. */
function start(args: readonly string[]) {
  const child = spawn(process.execPath, [MAIN, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, TMPDIR: temporary, NO_COLOR: '1' },
  })
  let output = ''
  let complaints = ''
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (complaints += chunk.toString()))
  const ended = new Promise<Run>((resolve, reject) => {
    child.once('error', reject)
    // Not `exit`: the pipes end only when every process that holds them has ended, children too.
    child.once('close', (code) => resolve({ code, output, complaints }))
  })
  return { child, ended, output: () => output }
}

describe('demo', () => {
  it(
    '--once → verified twice, a child killed in between, nothing left behind',
    { timeout: TIMEOUT_MS },
    async () => {
      const { ended } = start(['--once', '--children', '2', '--limit', '2000'])
      const { code, output, complaints } = await ended
      expect(complaints).toBe('')
      expect(output.match(/2,000 of 2,000 cities verified/g)).toHaveLength(2)
      expect(output).toMatch(/SIGKILL to child \d+ \(pid \d+\)/)
      expect(output).toContain('São Paulo, Brazil')
      expect(output).not.toContain('\u001b')
      expect(code).toBe(0)
      expect(readdirSync(temporary)).toEqual([])
    },
  )

  it(
    '--dir twice → the second finds the data of the first, and the directory stays',
    { timeout: TIMEOUT_MS },
    async () => {
      const directory = join(temporary, 'data')
      const args = ['--once', '--children', '2', '--limit', '300', '--dir', directory]
      const first = await start(args).ended
      expect(first.output).not.toContain('Data from before')
      expect(first.code).toBe(0)
      expect(existsSync(directory)).toBe(true)
      const second = await start(args).ended
      expect(second.output).toContain('300 cities found in the directory')
      expect(second.output.match(/300 of 300 cities verified/g)).toHaveLength(3)
      expect(second.code).toBe(0)
    },
  )

  it(
    'SIGTERM in the middle → puts everything away and exits with 143',
    { timeout: TIMEOUT_MS },
    async () => {
      const { child, ended, output } = start(['--once', '--children', '2'])
      await vi.waitFor(() => expect(output()).toContain('Load'), { timeout: TIMEOUT_MS })
      child.kill('SIGTERM')
      const { code, complaints } = await ended
      expect(complaints).toContain('stopped by SIGTERM')
      expect(code).toBe(143)
      expect(readdirSync(temporary)).toEqual([])
    },
  )

  it('wrong usage → says so and exits with 2', async () => {
    const { code, complaints } = await start(['--children', 'four']).ended
    expect(complaints).toContain('--children is a whole number from 1 up, not four')
    expect(code).toBe(2)
  })

  it('--help → the options', async () => {
    const { code, output } = await start(['--help']).ended
    expect(output).toContain('--once')
    expect(code).toBe(0)
  })
})
